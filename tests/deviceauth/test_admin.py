"""Device login in the admin."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from oauth2_provider.models import Application, Grant, IDToken

from accounts.models import User
from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
SESSIONS = "/admin/deviceauth/devicesession/"
APPLICATIONS = "/admin/oauth2_provider/application/"


@pytest.fixture
def operator(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    return client


def revoke(browser: Client, **more: str) -> object:
    chosen = [str(pk) for pk in DeviceSession.objects.values_list("pk", flat=True)]
    return browser.post(SESSIONS, {"action": "revoke", "_selected_action": chosen, **more})


def test_device_codes_are_shown_without_their_codes(operator: Client, desktop: Device) -> None:
    row = desktop.start().row
    for path in ("/admin/deviceauth/devicecode/", f"/admin/deviceauth/devicecode/{row.pk}/change/"):
        answer = operator.get(path)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert row.device_code not in page
        assert row.user_code not in page
        assert desktop.codes["user_code"] not in page


def test_nothing_the_protocol_writes_can_be_changed(operator: Client, logged_in: Device) -> None:
    path = f"/admin/deviceauth/devicecode/{logged_in.row.pk}"
    assert operator.post(f"{path}/change/", {"status": "authorized"}).status_code == 403
    assert operator.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get("/admin/deviceauth/devicecode/add/").status_code == 403
    assert DeviceCode.objects.get().status == DeviceCode.Status.CONSUMED


@pytest.mark.parametrize("model", ["accesstoken", "refreshtoken", "application"])
def test_tokens_and_clients_are_shown_without_secrets(operator: Client, logged_in: Device, model: str) -> None:
    path = f"/admin/oauth2_provider/{model}/"
    assert operator.get(path).status_code == 200
    pk = operator.get(path).context["cl"].result_list[0].pk
    page = operator.get(f"{path}{pk}/change/").content.decode()
    for secret in ("checksum", "client_secret", "pbkdf2", logged_in.tokens["access_token"]):
        assert secret not in page


def test_grants_and_id_tokens_are_not_shown() -> None:
    assert not {Grant, IDToken} & set(admin.site._registry)


def test_a_session_is_found_by_e_mail(operator: Client, logged_in: Device) -> None:
    assert "ann@example.com" in operator.get(SESSIONS, {"q": "ann@"}).content.decode()
    assert "ann@example.com" not in operator.get(SESSIONS, {"q": "bob@"}).content.decode()


def test_revoking_asks_first_and_then_logs_the_device_out(operator: Client, logged_in: Device) -> None:
    asked = revoke(operator)
    assert "must ask for a new code" in asked.content.decode()  # type: ignore[attr-defined]
    assert logged_in.me().status_code == 200
    revoke(operator, confirmed="yes")
    assert logged_in.me().status_code == 401
    assert DeviceSession.objects.get().revoked_at


def test_revoking_needs_the_permission(logged_in: Device, make_user: Callable[..., User]) -> None:
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_devicesession"))
    browser = Client()
    browser.force_login(support)
    revoke(browser, confirmed="yes")
    assert logged_in.me().status_code == 200
    support.user_permissions.add(Permission.objects.get(codename="revoke_devicesession"))
    revoke(browser, confirmed="yes")
    assert logged_in.me().status_code == 401


def test_the_desktops_client_cannot_be_deleted_by_accident(operator: Client) -> None:
    desktop = Application.objects.get(client_id="smartspec-desktop")
    operator.post(f"{APPLICATIONS}{desktop.pk}/delete/", {"post": "yes"})
    operator.post(APPLICATIONS, {"action": "delete_selected", "_selected_action": [str(desktop.pk)], "post": "yes"})
    assert Application.objects.filter(pk=desktop.pk).exists()


def test_a_confidential_clients_secret_is_shown_once(operator: Client) -> None:
    values = {
        "name": "Box",
        "client_id": "box",
        "client_type": "confidential",
        "authorization_grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_secret": "a-long-secret",
    }
    assert operator.post(f"{APPLICATIONS}add/", values).status_code == 302
    box = Application.objects.get(client_id="box")
    assert "a-long-secret" not in box.client_secret
    assert "client_secret" not in operator.get(f"{APPLICATIONS}{box.pk}/change/").content.decode()
    operator.post(f"{APPLICATIONS}{box.pk}/delete/", {"post": "yes"})
    assert not Application.objects.filter(pk=box.pk).exists()
