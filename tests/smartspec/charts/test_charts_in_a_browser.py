"""The charts in Chromium: they are drawn under the admin's policy, fit a phone, and are named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from llmproxy.usage import folding
from tests.llmproxy.usage.conftest import answer
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(event.violatedDirective + " " + event.blockedURI));
"""
DRAWN = """() => [...document.querySelectorAll("canvas.chart")].map((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size > 20;
})"""


@pytest.fixture
def page(browser: Browser, live_server: Any, make_user: Any) -> Iterator[Page]:
    boss = make_user("operator@example.com", is_staff=True, is_superuser=True)
    now = datetime.now(UTC)
    for hours in (50, 26, 3):
        answer(boss, now - timedelta(hours=hours), first_byte_ms=70, model=f"model {hours}")
    folding.fold()
    context = browser.new_context(**DESKTOP, base_url=live_server.url)
    context.add_init_script(VIOLATIONS)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as opened:
        yield opened
    context.close()


def test_charts_are_drawn_without_a_violation_of_the_policy(page: Page) -> None:
    page.goto("/admin/")
    page.locator(".chart-ranges a").last.click()
    page.wait_for_load_state("load")
    assert page.url.endswith("?range=90d#charts")
    assert page.evaluate(DRAWN) == [True] * 6
    assert page.evaluate("window.violations") == []
    page.locator(".charts summary").first.click()
    assert page.locator(".charts td").first.is_visible()
    page.set_viewport_size(PHONE["viewport"])
    page.evaluate("document.documentElement.classList.add('dark')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    results = Axe().run(page, ".charts")
    assert results.violations_count == 0, results.generate_report()
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / "charts-on-a-phone.png", full_page=True)
