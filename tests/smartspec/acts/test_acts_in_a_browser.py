"""Acts in a browser: journeys counted in clicks, and how each page looks."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, expect

from accounts.models import ApiKey, OutgoingMail, User
from credits.models import Transaction
from llmproxy.models import Deployment, LanguageModel, Provider
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, log_in, open_strict_page
from tests.smartspec.acts.conftest import complete, locate_act, make_mail
from tests.smartspec.acts.test_acts import ACTS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
MOST_CLICKS = 6


@pytest.fixture
def open_page(browser: Browser, live_server: Any, make_user: Any) -> Iterator[Any]:
    """Return a function that opens a browser of an administrator with these settings."""
    boss = make_user("boss@example.com", is_staff=True, is_superuser=True)
    opened: list[Any] = []

    def make(**settings: Any) -> Any:
        context = browser.new_context(**settings, base_url=live_server.url)
        opened.append(context)
        log_in(context, boss, live_server.url)
        return open_strict_page(context, live_server.url)

    yield make
    for context in opened:
        context.close()


class Clicks:
    """Counts the clicks of a journey. Typing and Enter are not clicks."""

    def __init__(self) -> None:
        self.number = 0

    def on(self, locator: Locator) -> None:
        self.number += 1
        with locator.page.expect_navigation():
            locator.click()


def search(page: Page, text: str) -> None:
    box = page.locator("#searchbar")
    box.fill(text)
    with page.expect_navigation():
        box.press("Enter")


def check_look(page: Page, name: str) -> None:
    """Require that nothing is wider than the page, and that axe finds nothing in our part."""
    if SCREENSHOTS:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(SCREENSHOTS) / f"act-{name}-{width}.png", full_page=True)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, name
    report = Axe().run(page, context="#content-main")
    assert report.violations_count == 0, f"{name}: {report.generate_report()}"


def test_complaints_and_leaks_are_resolved_in_six_clicks(open_page, ann):
    complete(ann, 40)
    ApiKey.objects.create(user=ann, name="Leaked", checksum="x" * 64)
    with open_page(**DESKTOP) as page:
        refund, revoke = Clicks(), Clicks()
        page.goto("/admin/")
        refund.on(page.get_by_role("link", name="Completions").first)
        search(page, "ann@example.com")
        refund.on(page.locator("#result_list th a").first)
        refund.on(page.locator("a[href$='/refund/'][class*=grow]"))
        page.get_by_label("Reason").fill("The provider was down")
        refund.on(page.get_by_role("button", name="Preview"))
        check_look(page, "refund-preview")
        refund.on(page.get_by_role("button", name="Start again"))
        assert page.get_by_label("Reason").input_value() == "The provider was down"
        refund.on(page.get_by_role("button", name="Preview"))
        refund.on(page.get_by_role("button", name="Refund"))
        expect(page.get_by_text("The credits have been refunded.")).to_be_visible()
        assert refund.number - 2 <= MOST_CLICKS  # starting again was a detour
        page.goto("/admin/")
        revoke.on(page.get_by_role("link", name="API keys").first)
        search(page, "ann@example.com")
        revoke.on(page.locator("#result_list th a").first)
        revoke.on(page.locator("a[href$='/revoke/']"))
        revoke.on(page.get_by_role("button", name="Revoke"))
        expect(page.get_by_text("The key is revoked.")).to_be_visible()
        assert revoke.number <= MOST_CLICKS
    assert Transaction.objects.get(type="refund").description == "The provider was down"
    assert not ApiKey.objects.live().exists()


@pytest.fixture
def cloud(settings: Any) -> Provider:
    """A provider that is down and the only one of a model, and its prices."""
    settings.CREDITS_PER_USD = Decimal(1000)
    provider = Provider.objects.create(
        slug="cloud", name="Cloud", base_url="https://cloud.example/v1", failures=4,
        last_error="upstream_timeout", last_failure_at=timezone.now(),
        cooling_until=timezone.now() + timedelta(minutes=3),
    )  # fmt: skip
    model = LanguageModel.objects.create(name="bright", prompt_price=1, completion_price=1)
    prices = {"prices": {"prompt": "0.001", "completion": "0.002"}}
    Deployment.objects.create(model=model, provider=provider, provider_prices=prices)
    return provider


def test_an_outage_is_cleared_and_a_price_is_set_in_six_clicks(open_page, cloud):
    with open_page(**DESKTOP) as page:
        outage, price = Clicks(), Clicks()
        page.goto("/admin/")
        outage.on(page.locator(".status-problems a", has_text="Cloud"))
        outage.on(page.locator("#result_list tbody th a").first)
        outage.on(page.locator("a[href$='/wake/']:visible"))
        outage.on(page.get_by_role("button", name="End the pause"))
        expect(page.get_by_text("The provider is asked again.")).to_be_visible()
        outage.on(page.get_by_role("link", name="Home").first)
        expect(page.locator(".status-problems a", has_text="Cloud")).to_have_count(0)
        assert outage.number <= MOST_CLICKS
        price.on(page.get_by_role("link", name="Models", exact=True))
        price.on(page.get_by_role("link", name="bright"))
        before = page.locator("[data-ours] .pill").inner_text()
        page.get_by_text("Prices in credits per 1,000 tokens").click()
        page.locator("#id_completion_price").fill("5")
        price.on(page.locator("[name=_continue]"))
        assert before != page.locator("[data-ours] .pill").inner_text()
        assert price.number + 1 <= MOST_CLICKS


def test_a_bulk_act_goes_on_by_itself(open_page, ann, monkeypatch):
    monkeypatch.setattr("accounts.admin.acts.runs.CHUNK_ROWS", 2)
    for _number in range(5):
        make_mail()
    with open_page(**PHONE) as page:
        page.goto("/admin/accounts/outgoingmail/")
        for box in page.locator("input.action-select").all():
            box.check()
        page.locator("select[name=action]").select_option("resend")
        Clicks().on(page.locator("button[name=index]"))
        check_look(page, "bulk-preview")
        Clicks().on(page.locator("button[name=confirm]"))
        check_look(page, "bulk-run")
        page.locator("button[name=continue]").click()
        expect(page.locator("progress[value='5']")).to_be_visible()
        check_look(page, "bulk-done")
    assert OutgoingMail.objects.filter(tries=0).count() == 5


@pytest.mark.drill
@pytest.mark.parametrize("colors", ["light", "dark"])
@pytest.mark.parametrize("look", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("language", ["en-GB", "th-TH"])
def test_the_page_of_each_act_fits(open_page, make_row, look, colors, language):
    settings = {**look, "color_scheme": colors, "locale": language}
    with open_page(**settings) as page:
        for name in ACTS:
            row, act = make_row(name), name.rpartition(".")[2]
            page.goto(locate_act(row, act))
            check_look(page, f"{name}-{colors}-{language[:2]}")
            # What the next act needs: no provider of the same name, and a user who is not disabled.
            Provider.objects.all().delete()
            User.objects.update(is_active=True)
