"""Every list of the admin in Chromium: it fits its window, and axe finds nothing."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from accounts.models import User
from tests.pages import CHROMIUM, DESKTOP, SCREENSHOTS, log_in, open_strict_page
from tests.smartspec.admin_lists.stage import address_of, list_registered, make_operator

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
WIDEST = (
    *("accounts.apikey", "credits.refill", "credits.subscription", "deviceauth.devicesession"),
    *("llmproxy.completion",),
)
WINDOWS: dict[str, Any] = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}
LOOKS = [
    (window, scheme, locale)
    for window in WINDOWS
    for scheme in ("light", "dark")
    for locale in ("en-GB", "th-TH")
]
# What is wider than its place: the page, a list in its box, or a cell that does not end in an
# ellipsis of ours.
TOO_WIDE = """() => {
  const wide = [document.documentElement, ...document.querySelectorAll(".list-box")]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => `${box.className || "page"} ${box.scrollWidth}`);
  const cells = [...document.querySelectorAll(".list :is(.number, .time)")]
    .filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
    .map((cell) => `${cell.className}: ${cell.textContent}`);
  return [...wide, ...cells.slice(0, 3)];
}"""


def find_problems(page: Page, name: str, *, axe: bool) -> list[str]:
    page.goto(address_of(list_registered()[name]))
    found = [f"{name}: {wide}" for wide in page.evaluate(TOO_WIDE)]
    if SCREENSHOTS:
        size = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(SCREENSHOTS) / f"list-{name}-{size}.png")
    if axe and (report := Axe().run(page)).violations_count:
        found.append(f"{name}: {report.generate_report()}")
    return found


def test_the_widest_lists_fit_a_small_desktop(
    browser: Browser, live_server: Any, make_user: Any, full_lists: None
) -> None:
    context = browser.new_context(**DESKTOP, base_url=live_server.url)
    log_in(context, make_operator(make_user), live_server.url)
    with open_strict_page(context, live_server.url) as page:
        found = [problem for name in WIDEST for problem in find_problems(page, name, axe=False)]
        found += find_problems(page, "credits.purchase", axe=True)
        assert found == []
    context.close()


@pytest.mark.drill
@pytest.mark.parametrize(("window", "scheme", "locale"), LOOKS)
def test_every_list_fits_its_window_and_is_accessible(
    browser: Browser,
    live_server: Any,
    make_user: Any,
    full_lists: None,
    window: str,
    scheme: Any,
    locale: str,
) -> None:
    context = browser.new_context(
        viewport=WINDOWS[window], color_scheme=scheme, locale=locale, base_url=live_server.url
    )
    log_in(context, make_operator(make_user), live_server.url)
    with open_strict_page(context, live_server.url) as page:
        found = [
            problem for name in list_registered() for problem in find_problems(page, name, axe=True)
        ]
        assert found == [], "\n".join(found)
    context.close()


def test_a_list_is_read_without_javascript(
    browser: Browser, live_server: Any, make_user: Any
) -> None:
    boss: User = make_operator(make_user)
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    page = context.new_page()
    page.goto("/admin/accounts/user/")
    row = page.locator("#result_list tbody tr")
    assert row.get_by_text(boss.email).is_visible()
    row.get_by_role("link", name=boss.email).click(trial=True)  # nothing lies over the list
    context.close()
