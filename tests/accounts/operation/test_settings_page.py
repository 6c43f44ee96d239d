"""The page of the admin on which settings are changed at run time."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import OperatorSettings, User
from accounts.operation import current
from tests.accounts.operation.conftest import PAGE, read_form

pytestmark = pytest.mark.django_db


def test_a_change_is_shown_before_it_is_saved(operator: Client) -> None:
    sent = read_form(operator.get(PAGE)) | {"WEB_LLM_RPM": "77"}
    preview = operator.post(PAGE, sent)
    assert "<del>120</del>" in preview.content.decode()
    assert "77</ins>" in preview.content.decode()
    assert not OperatorSettings.objects.exists()


def test_a_saved_change_is_in_the_history_and_in_the_log(
    operator: Client, set_values: Any, admin: User
) -> None:
    assert set_values("Too many calls", WEB_LLM_RPM="77").status_code == 302
    row = OperatorSettings.objects.get()
    assert (row.number, row.values, row.actor, row.reason) == (
        1,
        {"WEB_LLM_RPM": 77},
        admin,
        "Too many calls",
    )
    page = operator.get(PAGE).content.decode()
    assert "Requests per minute: 120 → 77" in page
    assert "admin@example.com" in page
    entry = LogEntry.objects.get()
    assert (entry.user, entry.change_message) == (admin, "WEB_LLM_RPM: 120 → 77; Too many calls")
    assert current.read_requests_per_minute() == 77


def test_a_value_can_be_that_of_the_environment_again(
    operator: Client, set_values: Any, settings: Any
) -> None:
    set_values(WEB_LLM_RPM="77", BANNER_EN="Hello")
    settings.WEB_LLM_RPM = 99
    preview = operator.post(PAGE, read_form(operator.get(PAGE)) | {"restore": "WEB_LLM_RPM"})
    assert "99 (from the environment)" in preview.content.decode()
    set_values(restore="WEB_LLM_RPM")
    assert current.read_requests_per_minute() == 99
    settings.WEB_LLM_RPM = 98
    assert current.read_requests_per_minute() == 98
    assert current.read_banner() == "Hello"


def test_a_value_that_cannot_work_is_refused_and_kept(operator: Client) -> None:
    sent = read_form(operator.get(PAGE)) | {"WEB_LLM_RPM": "0", "reason": "x", "confirm": "1"}
    page = operator.post(PAGE, sent).content.decode()
    assert "Enter a number from 1 to 1,000,000,000." in page
    assert 'value="0"' in page
    assert not OperatorSettings.objects.exists()


def test_the_second_of_two_administrators_loses_nothing(operator: Client, set_values: Any) -> None:
    opened = read_form(operator.get(PAGE))
    set_values(WEB_LLM_RPM="77", WEB_LLM_TPM="5000")
    sent = opened | {"WEB_LLM_TPM": "6000", "BANNER_EN": "Hi", "reason": "x", "confirm": "1"}
    page = operator.post(PAGE, sent)
    errors = str(page.context["form"].errors)
    assert "admin@example.com changed this after you had opened the page" in errors
    assert "Requests per minute: 120 → 77" in errors
    again = read_form(page)
    assert (again["WEB_LLM_RPM"], again["WEB_LLM_TPM"]) == ("77", "6000")
    assert again["BANNER_EN"] == "Hi"
    assert OperatorSettings.objects.count() == 1
    set_values(WEB_LLM_TPM="6000")
    assert OperatorSettings.objects.first().values == {  # type: ignore[union-attr]
        "WEB_LLM_RPM": 77,
        "WEB_LLM_TPM": 6000,
    }


def test_a_form_that_was_sent_twice_changes_once(operator: Client) -> None:
    sent = read_form(operator.get(PAGE)) | {"WEB_LLM_RPM": "77", "reason": "x", "confirm": "1"}
    assert operator.post(PAGE, sent).status_code == 302
    assert operator.post(PAGE, sent).status_code == 200
    assert OperatorSettings.objects.count() == 1


@pytest.mark.parametrize("sent", [{}, {"number": "x"}, {"number": "99"}, {"number": "-1"}])
def test_a_form_without_its_number_is_refused_in_words(
    operator: Client, sent: dict[str, str]
) -> None:
    page = operator.post(PAGE, sent | {"confirm": "1", "reason": "x"})
    assert "This form is incomplete" in str(page.context["form"].errors)


def test_a_change_needs_a_reason_and_a_difference(operator: Client, set_values: Any) -> None:
    assert "reason" in set_values("", WEB_LLM_RPM="77").context["reason_form"].errors
    assert "Nothing has been changed" in str(set_values().context["form"].errors)
    assert not OperatorSettings.objects.exists()


def test_the_history_goes_on_on_the_next_page(operator: Client, admin: User) -> None:
    for number in range(1, 24):
        OperatorSettings.objects.create(
            number=number, values={}, changes=[], actor=admin, reason=f"Reason {number}."
        )
    first = operator.get(PAGE).content.decode()
    assert "Reason 4." in first
    assert "Reason 3." not in first
    older = operator.get(f"{PAGE}?before=4").content.decode()
    assert operator.get(f"{PAGE}?before=-1").status_code == 200
    assert "Reason 3." in older
    assert "Reason 4." not in older


def test_one_change_has_its_own_page(operator: Client, set_values: Any) -> None:
    set_values(WEB_LLM_CREDIT_PER_1K_TOKENS="")
    page = operator.get(f"{PAGE}1/change/").content.decode()
    assert "Default price: 1 → not sold" in page


@pytest.mark.parametrize("permission", ["view", ""])
def test_who_may_not_change_settings_cannot(
    client: Client, make_user: Any, permission: str
) -> None:
    viewer = make_user("viewer@example.com", is_staff=True)
    if permission:
        viewer.user_permissions.add(Permission.objects.get(codename="view_operatorsettings"))
    client.force_login(viewer)
    assert client.get(PAGE).status_code == (200 if permission else 403)
    assert client.post(PAGE, {"number": "0", "WEB_LLM_RPM": "1"}).status_code == 403


def test_secrets_of_the_environment_are_not_shown(operator: Client, settings: Any) -> None:
    page = operator.get(PAGE).content.decode()
    for name in ("SECRET_KEY", "DATABASE_URL", "EMAIL_URL", "STRIPE_SECRET_KEY"):
        assert name in page
    assert settings.SECRET_KEY not in page
    assert settings.DATABASE_URL not in page
    assert "set, and not shown" in page
