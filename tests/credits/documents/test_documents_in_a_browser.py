"""Documents in a real browser: every kind on a desktop, a phone and on paper."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser

from accounts.models import User
from credits.documents.credit_notes import settle_note
from credits.documents.issue import replace_document
from credits.models import Document
from tests.credits.documents.conftest import COMPANY
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    SCREENSHOTS,
    check_page,
    follow,
    log_in,
    open_strict_page,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM is not set"),
]
Issue = Callable[..., Document]


@pytest.fixture
def kinds(
    seller: Any, make_user: Callable[..., User], issue: Issue, reverse: Any
) -> dict[str, Document]:
    """Documents of each kind that one user has."""
    poor = make_user("poor@example.com")
    wrong = issue(poor, total=1_234_567_89)
    anew = replace_document(wrong, buyer=COMPANY)
    wrong.refresh_from_db()
    invoice = issue(poor, buyer=COMPANY, method="promptpay")
    note = settle_note(reverse(invoice, 99_50))
    second = settle_note(reverse(invoice, 50_00))
    receipt = issue(poor, currency="usd", total=20_00)
    refund = settle_note(reverse(receipt, 5_00))
    assert note is not None
    assert second is not None
    assert refund is not None
    return {
        "invoice": invoice,
        "anew": anew,
        "abbreviated": Document.objects.get(pk=wrong.pk),
        "receipt": receipt,
        "credit-note": second,
        "refund-note": refund,
    }


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_kind_is_readable_in_a_browser(
    browser: Browser, live_server: Any, kinds: dict[str, Document], screen: dict[str, Any]
) -> None:
    context = browser.new_context(**screen)
    log_in(context, User.objects.get(email="poor@example.com"), live_server.url)
    with open_strict_page(context, live_server.url) as page:
        for name, document in kinds.items():
            page.goto(f"{live_server.url}/account/credits/documents/{document.public_id}")
            check_page(page, f"document-{name}")
    context.close()


def test_paper_is_white_and_has_the_document_alone(
    browser: Browser, live_server: Any, kinds: dict[str, Document]
) -> None:
    context = browser.new_context(**{**PHONE, "color_scheme": "dark"})
    log_in(context, User.objects.get(email="poor@example.com"), live_server.url)
    with open_strict_page(context, live_server.url) as page:
        for name, document in kinds.items():
            page.goto(f"{live_server.url}/account/credits/documents/{document.public_id}")
            printed = page.pdf(prefer_css_page_size=True, print_background=True)
            if SCREENSHOTS:
                (Path(SCREENSHOTS) / f"document-{name}.pdf").write_bytes(printed)
            assert printed.count(b"/Type /Page\n") == 1
        page.emulate_media(media="print", color_scheme="dark")
        colours = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(colours) == "rgb(255, 255, 255)"
        assert not page.locator("header .brand").is_visible()
        assert not page.get_by_role("button").first.is_visible()
        assert page.locator(".sheet").is_visible()
    context.close()


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_buyer_adds_a_company_in_a_browser(
    browser: Browser, live_server: Any, seller: Any, make_user: Any, issue: Issue, screen: Any
) -> None:
    reader = make_user("poor@example.com")
    document = issue(reader, paid_at=timezone.now())
    context = browser.new_context(**screen)
    log_in(context, reader, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(f"{live_server.url}/account/credits/documents/{document.public_id}")
        follow(page.locator(".acts a"))
        page.locator("input[value=company]").check()
        page.locator("#id_name").fill(COMPANY.name)
        page.locator("#id_address").fill(COMPANY.address)
        page.locator("#id_tax_number").fill("0107536000316")
        follow(page.locator("main form button[type=submit]"))
        check_page(page, "document-details-refused")
        page.locator("#id_tax_number").fill("0107536000315")
        follow(page.locator("main form button[type=submit]"))
        check_page(page, "document-replaced")
        assert "TI" in page.locator(".sheet-facts").inner_text()
        assert page.locator("[data-print]").is_visible()
    context.close()
