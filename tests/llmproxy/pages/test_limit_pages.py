"""The limits that people and administrators set and see, and the budget in `/v1/credits`."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from playwright.sync_api import Browser

from accounts.access import api_keys
from accounts.models import LIMITS, ApiKey, AuthEvent, User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.api import openapi as credit_schema
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.pages.limit_forms import get_rates
from tests.accounts.conftest import change_in_admin
from tests.deviceauth.conftest import Device
from tests.pages import CHROMIUM, DESKTOP, PHONE, check_page, follow, log_in, open_strict_page

pytestmark = pytest.mark.django_db(transaction=True)
SET = {"requests_per_minute": 3, "tokens_per_minute": 4000, "max_concurrent": 2}
NONE = dict.fromkeys(LIMITS)
SHOWN = ("3 requests per minute", "4,000 tokens per minute", "2 simultaneous answers")


@pytest.fixture
def key(user: User) -> api_keys.Created:
    return api_keys.create(user=user, name="CI", source=Source(), rates=SET)


@pytest.fixture
def device(user: User) -> Device:
    return Device().start().approved_by(user).redeem()


def test_a_person_limits_a_key_and_takes_that_back(person: Client, key: api_keys.Created) -> None:
    assert get_rates(key.key) == SET
    page = f"/account/keys/{key.key.pk}"
    assert "<details open>" in person.get(page).content.decode()
    listed = person.get("/account/access").content.decode()
    assert all(limit in listed for limit in SHOWN)
    person.post(page, {"name": "CI", **SET, "max_concurrent": ""})
    assert get_rates(ApiKey.objects.get()) == {**SET, "max_concurrent": None}
    person.post(page, {"name": "CI"})
    assert get_rates(ApiKey.objects.get()) == NONE
    assert "<details>" in person.get(page).content.decode()


def test_a_new_key_is_limited_from_its_first_call(person: Client) -> None:
    form = {"name": "New", "form": "f", **SET}
    person.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    person.post("/account/keys/new", form)
    assert get_rates(ApiKey.objects.get()) == SET


def test_a_person_limits_a_device_and_the_log_says_so(
    person: Client, user: User, device: Device
) -> None:
    page = f"/account/devices/{DeviceSession.objects.get().pk}"
    person.post(page, {"name": "Laptop", **SET})
    session = DeviceSession.objects.get()
    assert get_rates(session) == SET
    listed = person.get("/account/access").content.decode()
    assert all(limit in listed for limit in SHOWN)
    assert AuthEvent.objects.get(kind="device_limited").details["max_concurrent"] == "None → 2"
    happened = person.get("/account/security").content.decode()
    assert "Device limits changed" in happened
    assert "Budget" not in happened
    person.post(page, {"name": "Laptop", **SET})
    assert AuthEvent.objects.filter(kind="device_limited").count() == 1  # nothing has changed
    person.post(page, {"name": "Laptop"})
    assert get_rates(DeviceSession.objects.get()) == NONE


@pytest.mark.parametrize("odd", ["0", "-1", "1.5", "many", "9" * 30, "\0"])
def test_a_limit_that_is_none_is_refused(
    person: Client, key: api_keys.Created, device: Device, odd: str
) -> None:
    pages = (f"/account/keys/{key.key.pk}", f"/account/devices/{DeviceSession.objects.get().pk}")
    for page in pages:
        for name in LIMITS:
            answer = person.post(page, {"name": "X", name: odd})
            assert answer.status_code == 400
            assert odd == "\0" or 'class="fault"' in answer.content.decode()
    assert get_rates(ApiKey.objects.get()) == SET


def test_a_revoked_device_is_not_limited(device: Device) -> None:
    session = DeviceSession.objects.get()
    device_sessions.revoke(session=session)
    assert not device_sessions.set_rates(session=session, rates=SET)
    assert get_rates(DeviceSession.objects.get()) == NONE


@pytest.fixture
def boss(client: Client, make_user: Callable[..., User]) -> User:
    boss = make_user("boss@example.com", is_staff=True, is_superuser=True)
    client.force_login(boss)
    return boss


def test_a_superuser_limits_a_user_and_the_log_says_so(
    client: Client, boss: User, user: User
) -> None:
    change_in_admin(client, user, **SET)
    user.refresh_from_db()
    assert get_rates(user) == SET
    assert (
        "Requests per minute" in LogEntry.objects.get(object_id=str(user.pk)).get_change_message()
    )


def test_others_only_look_at_a_users_limits(
    client: Client, boss: User, user: User, make_user: Any
) -> None:
    from django.contrib.auth.models import Permission

    helper = make_user("helper@example.com", is_staff=True)
    helper.user_permissions.set(
        Permission.objects.filter(codename__in=["view_user", "change_user"])
    )
    client.force_login(helper)
    change_in_admin(client, user, name="Ann", **SET)
    user.refresh_from_db()
    assert (user.name, get_rates(user)) == ("Ann", NONE)


def test_a_users_page_from_before_does_not_undo_a_limit(
    client: Client, boss: User, user: User
) -> None:
    page = f"/admin/accounts/user/{user.pk}/edit/"
    form = client.get(page).context["adminform"].form
    User.objects.filter(pk=user.pk).update(max_concurrent=7)
    seen = {
        "page_version": form.page_version,
        "email": user.email,
        "plan": "free",
        "is_active": "on",
        "max_concurrent": "",
    }
    assert "was changed after you had opened" in client.post(page, seen).content.decode()
    user.refresh_from_db()
    assert user.max_concurrent == 7


def test_the_admin_shows_the_limits_of_keys_and_devices(
    client: Client, boss: User, key: api_keys.Created, device: Device
) -> None:
    session = DeviceSession.objects.get()
    device_sessions.set_rates(session=session, rates=SET)
    for page in (f"accounts/apikey/{key.key.pk}", f"deviceauth/devicesession/{session.pk}"):
        shown = client.get(f"/admin/{page}/change/").content.decode()
        assert all(
            label in shown for label in ("Requests per minute", "4000", "Simultaneous completions")
        )


def balance(token: str, path: str = "/v1/credits") -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {token}"}).json()


PLAIN = {"credits": 50, "plan": "free", "held": 0, "available": 50}


@pytest.mark.parametrize("path", ["/v1/credits", "/api/v1/credits/balance"])
def test_a_budget_is_told_to_what_has_one(user: User, device: Device, path: str) -> None:
    created = api_keys.create(user=user, name="CI", source=Source(), monthly_budget=10)
    session = DeviceSession.objects.get()
    device_sessions.set_budget(session=session, monthly_budget=10)
    tokens = {
        created.key.credential: created.plain,
        session.credential: device.tokens["access_token"],
    }
    for credential, token in tokens.items():
        body = balance(token, path)
        assert body["budget"].pop("resets_at").endswith("-01T00:00:00Z")
        assert body["budget"] == {"limit": 10, "spent": 0, "held": 0}
        spent = ledger.hold(
            user=user, amount=4, reference_id=credential, seconds=60, credential=credential
        )
        ledger.capture(hold=spent, cost=3, description="x")
        held = ledger.hold(
            user=user, amount=2, reference_id=f"{credential} 2", seconds=60, credential=credential
        )
        body = balance(token, path)["budget"]
        assert (body["limit"], body["spent"], body["held"]) == (10, 3, 2)
        jsonschema.validate(body, credit_schema.SCHEMAS["Budget"])
        ledger.release(hold=held)


def test_a_device_whose_budget_is_used_up_is_marked(
    client: Client, user: User, device: Device
) -> None:
    session = DeviceSession.objects.get()
    client.force_login(user)
    spent = ledger.hold(
        user=user, amount=3, reference_id="x", seconds=60, credential=session.credential
    )
    ledger.capture(hold=spent, cost=3, description="x")
    for budget, marked in ((4, False), (3, True)):
        device_sessions.set_budget(session=session, monthly_budget=budget)
        assert ("budget used up" in client.get("/account/access").content.decode()) == marked


def test_without_a_budget_nothing_is_added(
    client: Client, user: User, device: Device, make_token: Any
) -> None:
    key = api_keys.create(user=user, name="CI", source=Source())
    for token in (key.plain, device.tokens["access_token"], make_token(user)):
        assert balance(token) == PLAIN
    client.force_login(user)
    assert client.get("/v1/credits").json() == PLAIN


@pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize("kind", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_limits_in_a_browser(
    kind: dict[str, Any],
    browser: Browser,
    live_server: Any,
    user: User,
    key: api_keys.Created,
    device: Device,
) -> None:
    session = DeviceSession.objects.get()
    context = browser.new_context(**kind, base_url=live_server.url)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(f"/account/devices/{session.pk}")
        check_page(page, "limits-closed")
        page.locator("main summary").click()
        page.locator("#id_tokens_per_minute").fill("9000")
        check_page(page, "limits-open")
        follow(page.locator("main button[type=submit]"))
        check_page(page, "limits-devices")
        page.goto("/account/access")
        check_page(page, "limits-keys")
    context.close()
    assert DeviceSession.objects.get().tokens_per_minute == 9000
