"""A provider's bill is reconciled in a browser, in six clicks at most; the pages on a phone."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from llmproxy.models import Provider
from tests.llmproxy.reconciliation.conftest import fold
from tests.llmproxy.reconciliation.test_days import complete, list_requests
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
MOST_CLICKS = 6
OURS = "[data-ours]"


def look(page: Page, name: str) -> None:
    """The page must not scroll sideways, and axe must find nothing in our part of it."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png", full_page=True)
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide at {width}"
    results = Axe().run(page, context=OURS)
    assert results.violations_count == 0, f"{name}: {results.generate_report()}"


def test_a_bill_of_a_provider_is_reconciled(
    browser: Browser,
    live_server: Any,
    boss: User,
    user: User,
    router: Provider,
    monkeypatch: Any,
    tmp_path: Path,
) -> None:
    for number in range(3):
        complete(user, f"gen-{number}", prompt_tokens=4000 + number)
    complete(user, "", usage_source="estimated")
    fold(monkeypatch)
    file = tmp_path / "openrouter_activity_2025-03-02.csv"
    file.write_text(list_requests(("gen-0", 4000), ("gen-1", 19_000), ("gen-x", 70)))
    clicks = 0

    def click(role: Any, name: str) -> None:
        nonlocal clicks
        page.get_by_role(role, name=name).first.click()
        clicks += 1

    context = browser.new_context(**DESKTOP, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto("/admin/")
        click("link", "Reconciliation")
        page.get_by_label("Usage file (CSV)").set_input_files(file)
        clicks += 1
        click("button", "Preview")
        expect(page.get_by_text("OpenRouter, activity by request")).to_be_visible()
        look(page, "reconciliation-preview")
        click("button", "Import")
        expect(page.get_by_text("1 day differs")).to_be_visible()
        look(page, "reconciliation-days")
        click("link", "Explain Router 2025-03-02")
        expect(page.get_by_text("gen-x")).to_be_visible()
        expect(page.get_by_role("cell", name="Other tokens")).to_be_visible()
        look(page, "reconciliation-explained")
    context.close()
    assert clicks <= MOST_CLICKS
    context = browser.new_context(**PHONE, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        for path in ("?last=2025-03-02", "router/2025-03-02/explain/", "imports/"):
            page.goto(f"/admin/llmproxy/usageimport/{path}")
            look(page, "reconciliation-" + path.split("/")[-2] if "/" in path else "days")
    context.close()
