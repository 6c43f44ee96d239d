"""Device login in the admin."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import Application, Grant, IDToken

from accounts.models import AuthEvent, OutgoingMail, User
from deviceauth.models import DeviceCode, DeviceSession
from tests.admin_forms import confirm_page
from tests.deviceauth.conftest import CODE, Device, send

pytestmark = pytest.mark.django_db
CODES = "/admin/deviceauth/devicecode/"
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
def test_tokens_and_clients_are_shown_without_secrets(
    operator: Client, logged_in: Device, model: str
) -> None:
    path = f"/admin/oauth2_provider/{model}/"
    assert operator.get(path).status_code == 200
    pk = operator.get(path).context["cl"].result_list[0].pk
    page = operator.get(f"{path}{pk}/change/").content.decode()
    for secret in ("checksum", "client_secret", "pbkdf2", logged_in.tokens["access_token"]):
        assert secret not in page


def test_grants_and_id_tokens_are_not_shown() -> None:
    assert not {Grant, IDToken} & set(admin.site._registry)


@pytest.mark.parametrize("model", ["devicesession", "devicecode"])
def test_rows_are_found_by_e_mail_and_public_id(
    operator: Client, logged_in: Device, user: User, model: str
) -> None:
    def count_rows(term: str) -> int:
        return len(
            operator.get(f"/admin/deviceauth/{model}/", {"q": term}).context["cl"].result_list
        )

    assert [
        count_rows(term) for term in ("Ann@Example.com", user.public_id, "bob@example.com", "ann")
    ] == [1, 1, 0, 0]


def test_revoking_asks_first_and_then_logs_the_device_out(
    operator: Client, logged_in: Device
) -> None:
    question = revoke(operator)
    assert "it needs a new code" in question.content.decode()  # type: ignore[attr-defined]
    assert logged_in.me().status_code == 200
    revoke(operator, confirm="1", key="k")
    assert logged_in.me().status_code == 401
    assert DeviceSession.objects.get().revoked_at


def test_revoking_needs_the_permission(logged_in: Device, make_user: Callable[..., User]) -> None:
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_devicesession"))
    browser = Client()
    browser.force_login(support)
    revoke(browser, confirm="1", key="k")
    assert logged_in.me().status_code == 200
    support.user_permissions.add(Permission.objects.get(codename="revoke_devicesession"))
    revoke(browser, confirm="1", key="k")
    assert logged_in.me().status_code == 401


def test_the_desktops_client_cannot_be_deleted_by_accident(operator: Client) -> None:
    desktop = Application.objects.get(client_id="smartspec-desktop")
    operator.post(f"{APPLICATIONS}{desktop.pk}/delete/", {"post": "yes"})
    operator.post(
        APPLICATIONS,
        {"action": "delete_selected", "_selected_action": [str(desktop.pk)], "post": "yes"},
    )
    assert Application.objects.filter(pk=desktop.pk).exists()


def make_client(operator: Client, kind: str) -> tuple[Application, str]:
    """Create a client in the admin; return it and the page that follows."""
    values = {
        "name": "Box",
        "client_id": "box",
        "client_type": kind,
        "authorization_grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_secret": "a secret of my own",
    }
    page = operator.post(f"{APPLICATIONS}add/", values, follow=True)
    return Application.objects.get(client_id="box"), page.content.decode()


def find_secret(page: str) -> str:
    match = re.search(r'id="client_secret">\s*(\w+)\s*<', page)
    assert match
    return match[1]


def request_code(secret: str) -> int:
    return int(send(CODE, {"client_id": "box", "client_secret": secret}, form=True).status_code)


def test_a_confidential_clients_secret_is_drawn_by_us_and_shown_once(operator: Client) -> None:
    box, page = make_client(operator, "confidential")
    secret = find_secret(page)
    assert box.client_secret.startswith("client_secret$1$")
    assert (request_code(secret), request_code("a secret of my own")) == (200, 401)
    assert secret not in operator.get(f"{APPLICATIONS}{box.pk}/change/").content.decode()


def test_a_new_secret_is_asked_for_first_and_ends_the_old_one(operator: Client) -> None:
    box, page = make_client(operator, "confidential")
    old, there = find_secret(page), f"{APPLICATIONS}{box.pk}/new-secret/"
    assert "stops working at once" in operator.get(there).content.decode()
    assert request_code(old) == 200
    answer = operator.get(confirm_page(operator, there)["Location"])
    assert "no-store" in answer["Cache-Control"]
    assert (request_code(find_secret(answer.content.decode())), request_code(old)) == (200, 401)


def test_a_new_secret_stays_in_view_in_another_language_for_ten_minutes(
    operator: Client,
) -> None:
    box, page = make_client(operator, "confidential")
    there = f"{APPLICATIONS}{box.pk}/new-secret/?shown=1"
    operator.post("/i18n/set", {"language": "th", "next": there})
    assert find_secret(operator.get(there).content.decode()) == find_secret(page)
    kept = dict(operator.session)
    assert find_secret(page) not in str(kept)
    with time_machine.travel(timezone.now() + timedelta(seconds=601)):
        assert operator.get(there)["Location"] == f"{APPLICATIONS}{box.pk}/change/"


def test_a_public_client_has_no_secret(operator: Client) -> None:
    box, page = make_client(operator, "public")
    assert "client_secret" not in page
    assert operator.post(f"{APPLICATIONS}{box.pk}/new-secret/").status_code == 302
    confirm_page(operator, f"{APPLICATIONS}{box.pk}/delete/")
    assert not Application.objects.filter(pk=box.pk).exists()


@pytest.mark.parametrize("approved", [True, False])
def test_an_operator_refuses_a_request(
    operator: Client, desktop: Device, user: User, approved: bool
) -> None:
    desktop.start()
    if approved:
        desktop.approved_by(user)
    chosen = {"action": "revoke", "_selected_action": str(desktop.row.pk)}
    assert "will receive a refusal" in operator.post(CODES, chosen).content.decode()
    assert desktop.row.status != DeviceCode.Status.DENIED
    operator.post(CODES, chosen | {"confirm": "1", "key": "k"})
    assert desktop.poll().json()["error"] == "access_denied"
    assert AuthEvent.objects.filter(kind="code_denied").count() == 1


def test_a_request_that_was_redeemed_is_not_offered(operator: Client, logged_in: Device) -> None:
    chosen = {"action": "revoke", "_selected_action": str(logged_in.row.pk)}
    page = operator.post(CODES, chosen).content.decode()
    assert "This request has ended already." in page
    assert 'name="confirm"' not in page
    assert logged_in.me().status_code == 200


def test_a_request_redeemed_while_an_administrator_refuses_it_ends(
    operator: Client, logged_in: Device
) -> None:
    chosen = {"action": "revoke", "_selected_action": str(logged_in.row.pk)}
    chosen |= {"confirm": "1", "key": "k"}
    assert "1 done, 0 left out" in operator.post(CODES, chosen, follow=True).content.decode()
    assert logged_in.me().status_code == 401


def test_events_are_shown_and_found(operator: Client, logged_in: Device, user: User) -> None:
    events = "/admin/accounts/authevent/"

    def list_event_kinds(**query: str) -> list[str]:
        return [event.kind for event in operator.get(events, query).context["cl"].result_list]

    assert list_event_kinds(q=user.email) == ["code_redeemed", "code_approved"]
    assert list_event_kinds(kind__exact="code_requested") == ["code_requested"]
    pk = AuthEvent.objects.latest("id").pk
    assert "127.0.0.1" in operator.get(f"{events}{pk}/change/").content.decode()
    assert operator.post(f"{events}{pk}/delete/", {"post": "yes"}).status_code == 403


def test_waiting_mails_are_shown_without_their_text(
    operator: Client, desktop: Device, user: User
) -> None:
    desktop.start().approved_by(user)
    mails = "/admin/accounts/outgoingmail/"
    assert "ann@example.com" in operator.get(mails).content.decode()
    pk = OutgoingMail.objects.get().pk
    assert "/auth/device/undo/" not in operator.get(f"{mails}{pk}/change/").content.decode()


def test_a_client_needs_a_name_and_has_no_page_of_its_own(operator: Client) -> None:
    nameless = {"name": " ", "client_id": "box", "client_type": "public"}
    assert (
        "People see it when they connect"
        in operator.post(f"{APPLICATIONS}add/", nameless).content.decode()
    )
    box, _ = make_client(operator, "public")
    assert box.authorization_grant_type == Application.GRANT_DEVICE_CODE
    assert "/admin/r/" not in operator.get(f"{APPLICATIONS}{box.pk}/change/").content.decode()
