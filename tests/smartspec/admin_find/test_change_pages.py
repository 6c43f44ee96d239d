"""What the pages of single rows say, in words and to screen readers."""

import re

import pytest
from django.test import Client

from accounts.models import AccountAlert
from credits.models import Package, PackagePrice
from tests.smartspec.admin_find.world import World

pytestmark = pytest.mark.django_db


def read(client: Client, row: object) -> str:
    meta = row._meta  # type: ignore[attr-defined]
    address = f"/admin/{meta.app_label}/{meta.model_name}/{row.pk}/change/"  # type: ignore[attr-defined]
    return client.get(address).content.decode()


def test_the_reason_for_no_mail_is_read_in_words(client: Client, world: World) -> None:
    AccountAlert.objects.update(silent_because="used_before")
    tab = client.get(f"/admin/accounts/user/{world['user'].pk}/change/?tab=notices")
    alerts = client.get("/admin/accounts/accountalert/")
    for page in (tab.content.decode(), read(client, world["alert"]), alerts.content.decode()):
        assert "redits are probably used before" in page
        assert ">used_before" not in page


def test_fields_in_the_rows_of_a_form_have_names(client: Client, world: World) -> None:
    package = Package.objects.get()
    PackagePrice.objects.create(package=package, currency="eur", amount=900)
    for row, prefix in ((world["model"], "deployments"), (package, "prices")):
        fields = re.findall(rf'<(?:input|select)[^>]*name="{prefix}-0-[^>]*>', read(client, row))
        shown = [each for each in fields if "hidden" not in each and "-DELETE" not in each]
        assert shown
        assert [each for each in shown if "aria-label=" not in each] == []


def test_the_times_of_a_second_factor_are_local(client: Client, world: World) -> None:
    page = read(client, world["factor"])
    assert not re.search(r"\d\d:\d\d:\d\d\.\d+\+00:00", page)
