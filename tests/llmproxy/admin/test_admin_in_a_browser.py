"""The admin pages of providers and models in a browser: a desktop in English, a phone in Thai."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from llmproxy.models import Completion, Deployment, LanguageModel, Provider
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import Upstream
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, follow, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
OURS = "[data-ours]"
WIDE_DARK: dict[str, Any] = {
    "viewport": {"width": 1400, "height": 900},
    "color_scheme": "dark",
    "locale": "th-TH",
}
NARROW_LIGHT: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "light",
    "locale": "en-GB",
}


def check_page(page: Page, name: str) -> None:
    """Check that the page does not scroll sideways and that axe finds nothing in our part of it.

    SCREENSHOTS is a folder for a picture of each page, or empty.
    """
    if SCREENSHOTS:
        kind = page.evaluate(
            "matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'"
        )
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}-{kind}.png", full_page=True)
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"
    if page.locator(OURS).count():
        results = Axe().run(page, context=OURS)
        assert results.violations_count == 0, f"{name}: {results.generate_report()}"


@pytest.fixture(
    params=[
        DESKTOP,
        PHONE,
        pytest.param(WIDE_DARK, marks=pytest.mark.drill),
        pytest.param(NARROW_LIGHT, marks=pytest.mark.drill),
    ],
    ids=["desktop", "phone", "wide-dark", "narrow-light"],
)
def page(
    request: pytest.FixtureRequest, browser: Browser, live_server: Any, make_user: Any
) -> Iterator[Page]:
    boss: User = make_user("boss@example.com", is_staff=True, is_superuser=True)
    context = browser.new_context(**request.param, base_url=live_server.url)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as opened:
        yield opened
    context.close()


@pytest.fixture
def provider(upstream: Upstream) -> Provider:
    upstream.offers = script.listing(
        "gpt-5", "gpt-5-mini", "text-embedding-3-large", "has a space", "small"
    )
    row = Provider(
        name="Cloud", slug="cloud", base_url=upstream.url, failures=4, last_error="upstream_timeout"
    )
    row.last_failure_at = timezone.now()
    row.cooling_until = timezone.now() + timedelta(minutes=3)
    row.set_key("sk-cloud")
    row.save()
    other = Provider.objects.create(name="Local", slug="local", base_url="http://127.0.0.1:9/v1")
    small = LanguageModel.objects.create(name="small", prompt_price=1, completion_price=4)
    Deployment.objects.create(model=small, provider=other)
    LanguageModel.objects.create(name="asleep", is_active=False)
    return row


def test_a_provider_is_tested_and_its_models_imported(page: Page, provider: Provider) -> None:
    page.goto("/admin/llmproxy/provider/")
    check_page(page, "providers-list")
    page.goto(f"/admin/llmproxy/provider/{provider.pk}/change/")
    check_page(page, "providers-form")
    page.get_by_role("button", name=re.compile("Test the connection|ทดสอบการเชื่อมต่อ")).click()
    expect(page.get_by_text(f"({provider.url}/models): ")).to_be_visible()
    check_page(page, "providers-tested")
    page.goto(f"/admin/llmproxy/provider/{provider.pk}/import/")
    page.locator("input[name=names][value=gpt-5]").check()
    page.locator("input[name=prompt_price]").fill("1")
    follow(
        page.locator(
            "main form[method=post] button[type=submit], #content-main form[method=post] button"
        ).last
    )
    check_page(page, "providers-import-refused")
    page.locator("input[name=completion_price]").fill("4")
    page.locator("#content-main form[method=post] button").last.click()
    expect(page.get_by_role("link", name="gpt-5", exact=True)).to_be_visible()
    check_page(page, "providers-models")
    assert LanguageModel.objects.get(name="gpt-5").obstacle == ""


def test_the_form_of_a_model_is_short_until_it_has_further_prices(
    page: Page, provider: Provider
) -> None:
    model = LanguageModel.objects.get(name="small")
    address = f"/admin/llmproxy/languagemodel/{model.pk}/change/"
    page.goto(address)
    check_page(page, "models-form")
    request = page.locator("input[name=request_price]")
    expect(request).to_be_hidden()
    page.locator("details summary").nth(1).click()
    request.fill("2.5")
    follow(page.locator("button[name=_continue], input[name=_continue]").first)
    expect(request).to_have_value("2.5")
    expect(request).to_be_visible()
    LanguageModel.objects.update(long_from_tokens=200_001, long_prompt_price=2, page_tokens=900)
    page.goto(address)
    check_page(page, "models-form-long")


def test_prices_are_imported_after_a_preview(page: Page, provider: Provider) -> None:
    openai = Provider.objects.create(
        name="OpenAI", slug="openai", base_url="https://api.openai.com/v1"
    )
    router = Provider.objects.create(
        name="Router", slug="router", base_url="https://openrouter.ai/api/v1"
    )
    for name, served in {"gpt-4o": [openai], "gpt-5.4": [openai, router], "mine": [openai]}.items():
        row = LanguageModel.objects.create(name=name, prompt_price=9)
        for order, one in enumerate(served):
            own_name = f"openai/{name}" if one is router else ""
            Deployment.objects.create(model=row, provider=one, order=order, upstream_name=own_name)
    page.goto("/admin/llmproxy/languagemodel/")
    check_page(page, "models-list")
    page.goto("/admin/llmproxy/languagemodel/prices/")
    check_page(page, "models-prices-rate")
    page.locator("input[name=credits_per_usd]").fill("100")
    page.locator("input[name=margin_percent]").fill("20")
    follow(page.locator("button[name=preview]"))
    check_page(page, "models-prices")
    for box in page.locator("input[name=take]").all():
        box.set_checked("gpt-4o" in box.locator("xpath=..").inner_text())
    follow(page.locator("button[name=import]"))
    expect(page).to_have_url(re.compile("/languagemodel/$"))
    assert [float(price) for price in list_prompt_prices()] == [0.3, 9, 9]


def list_prompt_prices() -> list[Any]:
    names = ("gpt-4o", "gpt-5.4", "mine")
    models = LanguageModel.objects.filter(name__in=names).order_by("name")
    return list(models.values_list("prompt_price", flat=True))


def test_the_figures_by_day(
    page: Page, provider: Provider, chat: Any, user: User, upstream: Upstream
) -> None:
    cache.clear()
    chat(user, model="large")
    chat(user, model="large")
    failed = [
        {"provider": "cloud", "error": "upstream_timeout", "ms": 5},
        {"provider": "environment", "error": "", "ms": 5},
    ]
    Completion.objects.filter(pk=Completion.objects.latest("pk").pk).update(attempts=failed)
    page.goto("/admin/llmproxy/provider/figures/")
    check_page(page, "providers-days")
