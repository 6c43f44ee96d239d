"""Models, status and documentation on a narrow, dark phone in Thai."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from llmproxy.models import Deployment, LanguageModel, Provider
from tests.pages import CHROMIUM, PHONE, check_page, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]


def test_the_public_pages_fit_a_phone(browser: Browser, live_server: Any) -> None:
    provider = Provider.objects.create(slug="acme", name="Acme")
    for name in ("maker/a-model-with-quite-a-long-name-and-a-date-2026-11-30", "โมเดลภาษาไทย" * 9):
        model = LanguageModel.objects.create(name=name, cache_write_price="1.25")
        Deployment.objects.create(model=model, provider=provider)
    narrow = {**PHONE, "viewport": {"width": 320, "height": 640}}
    context = browser.new_context(**narrow, base_url=live_server.url)
    with open_strict_page(context, live_server.url) as page:
        for path in ("/models", "/status", "/docs", "/docs/errors", "/docs/api/credits"):
            page.goto(path)
            check_page(page, path.strip("/").replace("/", "-"))
    context.close()
