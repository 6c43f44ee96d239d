"""A user's account in a real browser: sign-up, authenticator app, passkey, deletion."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from tests.accounts.conftest import totp
from tests.e2e.site import RunningSite
from tests.pages import CHROMIUM, QUIET

PASSWORD = "a-long-enough-password"
CODE = re.compile(r"^([B-Z]{4}-[B-Z]{4})\s*$", re.MULTILINE)
PASSKEYS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]


@pytest.fixture
def person(site: RunningSite) -> Iterator[Page]:
    """A page of a browser whose console must stay empty."""
    url = site.url.replace(
        "127.0.0.1", "localhost"
    )  # Browsers allow passkeys for host names, but not for IP addresses.
    complaints: list[str] = []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = launched.new_page(base_url=url, locale="en-US", reduced_motion="reduce")
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "request",
            lambda request: complaints.append(request.url) if request.url[:4] == "http" else None,
        )
        yield page
        launched.close()
    assert [each for each in complaints if not each.startswith(url)] == []


def check_page(page: Page) -> None:
    """Require no axe violation in light and dark, and no horizontal scrolling on a phone."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        report = Axe().run(page)
        assert not report.violations_count, f"{page.url} {scheme}: {report.generate_report()}"
    page.set_viewport_size({"width": 390, "height": 800})
    root = page.locator("html")
    assert root.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, page.url
    page.set_viewport_size({"width": 1280, "height": 800})


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def sign_up(page: Page, site: RunningSite, email: str, there: str = "") -> None:
    """Sign up and enter the code from the mail."""
    log = Path(site.environment["DATA_DIR"]) / "log/web-server.log"
    written = len(log.read_text())
    page.goto(f"/accounts/signup/?next={there}")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    check_page(page)
    press(page, "Sign up")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your email address")
    check_page(page)
    page.get_by_label("Code").fill(mailed_code(log, written))
    press(page, "Confirm")


def mailed_code(log: Path, written: int) -> str:
    for _ in range(50):
        if codes := CODE.findall(log.read_text()[written:]):
            return str(codes[-1])
        time.sleep(0.1)
    raise AssertionError("no mail")


def log_in(page: Page, email: str) -> None:
    page.goto("/accounts/login/")
    check_page(page)
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Log in")


def log_out(page: Page) -> None:
    page.locator("[data-menu] summary").click()
    page.get_by_role("banner").get_by_role("button", name="Log out").click()
    expect(page.get_by_role("banner").get_by_role("link", name="Log in")).to_be_visible()


def test_signing_up_for_a_device_leads_back_to_it(person: Page, site: RunningSite) -> None:
    sign_up(person, site, "new@people.example", "/auth/device?user_code=BCDF-GHJK")
    expect(person.get_by_label("code")).to_have_value("BCDF-GHJK")
    person.goto("/account")
    expect(person.get_by_text("Welcome bonus")).to_be_visible()


def test_an_authenticator_app_and_a_recovery_code(person: Page, site: RunningSite) -> None:
    sign_up(person, site, "app@people.example")
    person.goto("/account/security")
    check_page(person)
    person.get_by_role("link", name="Set up").click()
    person.get_by_text("No camera?").click()
    check_page(person)
    secret = person.locator("code").inner_text()
    person.get_by_label("Code from the app").fill(totp(secret))
    press(person, "Switch on")
    expect(person.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    check_page(person)
    recovery = person.locator("li code").first.inner_text()
    # The code of the set-up is used up. The next one is accepted half a minute early.
    for code in (recovery, totp(secret, time.time() + 30)):
        log_out(person)
        log_in(person, "app@people.example")
        expect(person.get_by_role("heading", level=1)).to_have_text("Second step")
        check_page(person)
        person.get_by_label("Code").fill(code)
        press(person, "Log in")
        expect(person.get_by_role("heading", level=1)).to_have_text("Overview")
    person.goto("/account/security")
    expect(person.get_by_text("9 left")).to_be_visible()
    expect(person.get_by_text("Recovery code used")).to_be_visible()


def test_a_passkey_alone_and_as_the_second_step(person: Page, site: RunningSite) -> None:
    devtools = person.context.new_cdp_session(person)
    devtools.send("WebAuthn.enable")
    device = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": PASSKEYS})
    sign_up(person, site, "key@people.example")
    person.goto("/account/security")
    person.get_by_role("link", name="Add a passkey").click()
    check_page(person)
    person.get_by_label("Name").fill("My laptop")
    press(person, "Add")
    expect(person.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    log_out(person)
    person.goto("/accounts/login/?next=/account/security")
    press(person, "Log in with a passkey")
    expect(person.get_by_text("My laptop")).to_be_visible()
    check_page(person)
    log_out(person)
    log_in(person, "key@people.example")
    expect(person.get_by_role("heading", level=1)).to_have_text("Second step")
    press(person, "Use a passkey")
    expect(person.get_by_role("heading", level=1)).to_have_text("Overview")
    log_out(person)
    devtools.send(
        "WebAuthn.setUserVerified",
        {"authenticatorId": device["authenticatorId"], "isUserVerified": False},
    )
    person.goto("/accounts/login/")
    press(person, "Log in with a passkey")
    expect(person.get_by_role("alert")).to_contain_text("was not used")


def test_an_account_is_deleted(person: Page, site: RunningSite) -> None:
    sign_up(person, site, "gone@people.example")
    person.goto("/account/delete")
    check_page(person)
    person.get_by_label("Your email address").fill("gone@people.example")
    press(person, "Delete my account")
    expect(person.get_by_text("Your account has been deleted.")).to_be_visible()
    log_in(person, "gone@people.example")
    expect(person.get_by_role("alert")).to_contain_text("not correct")
