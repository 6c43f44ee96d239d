"""Every state of the device pages in a real browser.

The desktop shows them in English, the phone in Thai and in dark mode.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from oauth2_provider.models import Application
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts.models import User
from deviceauth import device_flow, mails
from deviceauth.models import DeviceCode, DeviceSession
from tests.deviceauth.conftest import Device
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    check_page,
    follow,
    log_in,
    open_strict_page,
    switch_language,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
AGENT = {"headers": {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) SmartSpecPro/1.2"}}


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def context(
    request: pytest.FixtureRequest, browser: Browser, live_server: Any, user: User
) -> Iterator[BrowserContext]:
    opened = browser.new_context(**request.param, base_url=live_server.url)
    log_in(opened, user, live_server.url)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, live_server: Any) -> Iterator[Page]:
    with open_strict_page(context, live_server.url) as opened:
        yield opened


def start_device(**extra: Any) -> Device:
    return Device(extra=AGENT | extra).start()


def answer_code(page: Page, device: Device, decision: str = "") -> None:
    page.goto(f"/auth/device?user_code={device.codes['user_code']}")
    follow(page.locator("main button[type=submit]"))
    if decision:
        follow(page.locator(f"button[value={decision}]"))


def test_the_steps_to_a_connected_device(page: Page, user: User) -> None:
    device = start_device()
    page.goto("/auth/device")
    check_page(page, "1-enter")
    page.goto(f"/auth/device?user_code={device.codes['user_code']}")
    check_page(page, "2-enter-with-code")
    follow(page.locator("main button[type=submit]"))
    check_page(page, "3-confirm")
    follow(page.locator("button[value=allow]"))
    check_page(page, "4-allowed")
    assert device.redeem().tokens["user"]["id"] == user.pk


def test_a_request_from_elsewhere_is_refused(page: Page, third_party: Application) -> None:
    device = Device(client_id="tv-app", extra={"REMOTE_ADDR": "203.0.113.5"}).start(
        scope="llm:chat mcp:read mcp:write"
    )
    answer_code(page, device)
    check_page(page, "5-confirm-elsewhere")
    follow(page.locator("button[value=deny]"))
    check_page(page, "6-denied")
    assert device.row.status == DeviceCode.Status.DENIED


def test_every_reason_why_a_code_is_refused(page: Page, user: User) -> None:
    page.goto("/auth/device")
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.locator("#user_code").fill("ABC")
    follow(page.locator("main button[type=submit]"))
    check_page(page, "7-malformed")
    used = start_device().approved_by(user).redeem()
    answer_code(page, used)
    check_page(page, "8-used")
    expired = start_device()
    DeviceCode.objects.filter(pk=expired.row.pk).update(
        expires=timezone.now() - timedelta(seconds=1)
    )
    answer_code(page, expired)
    check_page(page, "9-expired")
    for number in range(6):
        page.goto("/auth/device?user_code=BBBB-BBBB")
        follow(page.locator("main button[type=submit]"))
        if number == 0:
            check_page(page, "10-unknown")
    check_page(page, "11-too-many")


def test_the_list_of_devices_and_its_actions(page: Page, user: User) -> None:
    page.goto("/account/access")
    check_page(page, "12-no-devices")
    start_device().approved_by(user).redeem()
    start_device(REMOTE_ADDR="2001:db8:1234:5678:9abc:def0:1234:5678").approved_by(user).redeem()
    DeviceSession.objects.filter(pk=DeviceSession.objects.latest("pk").pk).update(
        monthly_budget=5000
    )
    page.goto("/account/access")
    check_page(page, "13-devices")
    follow(page.locator(".row-link").first)
    check_page(page, "14-device")
    page.locator("#id_monthly_budget").fill("250")
    follow(page.locator("main button[type=submit]"))
    check_page(page, "15-saved")
    follow(page.locator(".row-link").first)
    follow(page.locator("main .acts .danger"))
    check_page(page, "16-disconnect")
    follow(page.locator("main button[type=submit]"))
    page.goto("/account/devices/disconnect")
    check_page(page, "17-disconnect-all")
    follow(page.locator("main button[type=submit]"))
    assert not DeviceSession.objects.live().exists()


def test_the_link_of_the_mail(page: Page, user: User) -> None:
    device = start_device().approved_by(user).redeem()
    approval = DeviceSession.objects.get().approval
    page.goto(mails.build_undo_link(approval).partition(":8000")[2])
    check_page(page, "18-undo")
    follow(page.locator("main button[type=submit]"))
    check_page(page, "19-undone")
    assert device.me().status_code == 401
    page.goto("/auth/device/undo/nonsense")
    check_page(page, "20-undo-unknown")


def test_a_device_is_connected_by_keyboard_alone(page: Page, user: User) -> None:
    device = start_device()
    page.goto("/auth/device")
    expect(page.locator("#user_code")).to_be_focused()
    page.keyboard.type(device.codes["user_code"].lower().replace("-", ""))
    expect(page.locator("#user_code")).to_have_value(device.codes["user_code"])
    page.keyboard.press("Enter")
    page.wait_for_selector("button[value=allow]")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "allow":
            break
    assert page.evaluate(
        "getComputedStyle(document.activeElement).outlineStyle !== 'none' "
        "|| getComputedStyle(document.activeElement).boxShadow !== 'none'"
    )
    page.keyboard.press("Enter")
    page.wait_for_selector("p[role=status]")
    assert device.redeem()


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_it_works_without_javascript(
    browser: Browser, live_server: Any, user: User, decision: str
) -> None:
    device = start_device()
    plain = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    log_in(plain, user, live_server.url)
    answer_code(plain.new_page(), device, decision)
    wanted = {"allow": DeviceCode.Status.AUTHORIZED, "deny": DeviceCode.Status.DENIED}
    assert device.row.status == wanted[decision]
    plain.close()


def test_allow_and_refuse_are_equally_prominent(page: Page) -> None:
    answer_code(page, start_device())
    looks = [
        page.locator(f"button[value={decision}]").evaluate(
            "(one) => { const style = getComputedStyle(one);"
            " return [one.offsetWidth, one.offsetHeight, style.color, style.backgroundColor,"
            " style.borderColor]; }"
        )
        for decision in ("allow", "deny")
    ]
    assert looks[0] == looks[1]


def test_a_double_click_on_allow_is_one_approval(page: Page, user: User) -> None:
    device = start_device()
    answer_code(page, device)
    page.locator("button[value=allow]").dblclick()
    page.wait_for_selector("p[role=status]")
    assert (
        device_flow.find(user_code=device.codes["user_code"], user=user).status
        == DeviceCode.Status.AUTHORIZED
    )


def test_back_and_another_language_after_allow_send_nothing_again(page: Page, user: User) -> None:
    device = start_device()
    answer_code(page, device, "allow")
    there = page.url
    switch_language(page)
    assert page.url == there
    switch_language(page)
    page.reload()
    page.go_back()
    page.go_forward()
    expect(page.locator("p[role=status]")).to_be_visible()
    assert device.row.status == DeviceCode.Status.AUTHORIZED
    follow(page.locator("button[value=deny]"))
    assert device.row.status == DeviceCode.Status.DENIED
    check_page(page, "6-refused-after-allow")
