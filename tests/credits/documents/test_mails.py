"""The texts of all mails about payments, in both languages."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings

from accounts.mails import decrypt_body
from accounts.models import OutgoingMail, Plan, User
from credits.documents import mails
from credits.models import Document

pytestmark = pytest.mark.django_db
TEMPLATES = Path(settings.BASE_DIR) / "templates/credits/email"
NAMES = sorted({path.name.rpartition("_")[0] for path in TEMPLATES.iterdir()})
# The folder for the texts of all mails. Empty: they are only checked.
MAILS = os.environ.get("SCREENSHOTS", "")


def make_context(document: Document) -> dict[str, Any]:
    """Return what the callers of all mails give to them."""
    return {
        "purchase": document.purchase,
        "document": document,
        "amount": "฿199.00",
        "link": mails.link_document(document),
        "url": "https://invoice.stripe.com/i/acct_1/test",
        "until": datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
        "subscription": SimpleNamespace(plan=Plan(name="Pro")),
        "refill": SimpleNamespace(card="Visa •••• 4242", package=SimpleNamespace(name="Starter")),
        "reason": "–",
        "dispute": SimpleNamespace(
            get_kind_display="Dispute",
            stripe_id="dp_1",
            reason="fraudulent",
            status="needs_response",
            evidence_due_by=datetime(2026, 12, 9, tzinfo=UTC),
        ),
    }


@pytest.mark.parametrize("language", ["en", "th"])
@pytest.mark.parametrize("name", NAMES)
def test_a_mail_is_whole_in_both_languages(
    poor: User, issue: Callable[..., Document], name: str, language: str
) -> None:
    document = issue(poor)
    OutgoingMail.objects.all().delete()
    mails.send(name, poor, language=language, **make_context(document))
    mail = OutgoingMail.objects.get()
    text = f"{mail.subject}\n\n{decrypt_body(mail)}"
    if MAILS:
        (Path(MAILS) / f"mail-{name}-{language}.txt").write_text(text)
    assert not re.search(r"\{[{%]|%\(|None|&\w+;|<\w", text)
    assert len(mail.subject) <= 78  # RFC 5322 §2.1.1
    assert "\n\n\n\n" not in text
    assert text.rstrip().endswith("SmartSpec")
    is_thai = bool(re.search("[ก-๙]{20}", text.partition("\n")[2]))
    assert is_thai == (language == "th")


@pytest.mark.parametrize("kind", ["package", "refill", "plan"])
def test_the_mail_of_a_payment_says_what_was_paid(
    poor: User, issue: Callable[..., Document], kind: str
) -> None:
    document = issue(poor)
    document.purchase.kind = kind
    OutgoingMail.objects.all().delete()
    mails.send_about("paid", document.purchase, document=document, link="https://example.com/d")
    text = decrypt_body(OutgoingMail.objects.get())
    wanted = {"package": "Thank you.", "refill": "automatic refill", "plan": "your plan Starter"}
    assert wanted[kind] in text
    assert ("/account/credits/refill" in text) == (kind == "refill")


def test_a_promptpay_refund_says_what_to_do_next(
    poor: User, issue: Callable[..., Document]
) -> None:
    document = issue(poor, method="promptpay")
    OutgoingMail.objects.all().delete()
    mails.send_about("refunded", document.purchase, document=document, link="https://example.com")
    assert "asks for your bank account" in decrypt_body(OutgoingMail.objects.get())


def test_markup_in_a_name_is_only_text(poor: User, issue: Callable[..., Document]) -> None:
    document = issue(poor)
    document.purchase.name = "<b>R&D</b>\nBcc: x@example.com"
    OutgoingMail.objects.all().delete()
    mails.send_about("payment_failed", document.purchase)
    mail = OutgoingMail.objects.get()
    assert "<b>R&D</b>" in decrypt_body(mail)
    assert "\n" not in mail.subject
