"""The first page of the admin in a browser: an outage is seen, followed and cleared."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import JobRun, User
from credits.models import AuditRun
from llmproxy.models import Deployment, LanguageModel, Provider
from smartspec.upkeep import configuration, security
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, follow, log_in, open_strict_page

pytestmark = [
    pytest.mark.usefixtures("roomy_disk"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
OURS = (".status", ".cards", ".status-page")
PHONE_LIGHT = PHONE | {"color_scheme": "light", "locale": "en-GB"}
DESKTOP_DARK = DESKTOP | {"color_scheme": "dark", "locale": "th-TH"}


@pytest.fixture(
    params=[
        DESKTOP,
        PHONE,
        pytest.param(DESKTOP_DARK, marks=pytest.mark.drill),
        pytest.param(PHONE_LIGHT, marks=pytest.mark.drill),
    ],
    ids=["desktop", "phone", "desktop-dark", "phone-light"],
)
def page(
    request: pytest.FixtureRequest,
    browser: Browser,
    live_server: Any,
    make_user: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    monkeypatch.setattr(configuration, "list_warnings", list)
    monkeypatch.setattr(security, "list_without_factor", User.objects.none)
    boss: User = make_user("boss@example.com", is_staff=True, is_superuser=True)
    context = browser.new_context(**request.param, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as opened:
        yield opened
    context.close()


def look(page: Page, name: str) -> None:
    """Check that the page does not scroll sideways and that axe finds nothing in our parts."""
    if SCREENSHOTS:
        size: Any = page.viewport_size
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        path = (
            Path(SCREENSHOTS) / f"status-{name}-{size['width']}-{'dark' if dark else 'light'}.png"
        )
        page.screenshot(path=path, full_page=True)
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"
    for part in OURS:
        if page.locator(part).count():
            results = Axe().run(page, context=part)
            assert results.violations_count == 0, f"{name}: {results.generate_report()}"


def test_an_outage_is_seen_followed_and_cleared(page: Page) -> None:
    provider = Provider.objects.create(name="Cloud", slug="cloud", base_url="https://cloud.example")
    model = LanguageModel.objects.create(name="gpt-5", prompt_price=1, completion_price=4)
    Deployment.objects.create(model=model, provider=provider)
    call_command("tick", stdout=StringIO())
    page.goto("/admin/")
    expect(page.locator(".status-green h2")).to_be_visible()
    look(page, "well")
    now = timezone.now()
    failing = {"failures": 4, "last_error": "upstream_timeout", "last_failure_at": now}
    Provider.objects.update(**failing, cooling_until=now + timedelta(minutes=3))
    page.reload()
    look(page, "provider-down")
    follow(page.locator(".status-problems a").first)
    expect(page.get_by_text("Cloud").first).to_be_visible()
    Provider.objects.update(failures=0, cooling_until=None)
    AuditRun.objects.update(problems=2, first_problem="user 7: the balance is 5, not 7")
    JobRun.objects.update(finished_at=now - timedelta(hours=1))
    page.goto("/admin/")
    expect(page.locator(".status-problems .level-red")).to_have_count(2)
    look(page, "unsound-and-silent")
    follow(page.locator(".status-head a"))
    look(page, "all")
    AuditRun.objects.update(problems=0)
    call_command("tick", stdout=StringIO())
    page.goto("/admin/")
    expect(page.locator(".status-green h2")).to_be_visible()
