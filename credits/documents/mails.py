"""Mails about payments, in the language of the buyer.

The templates are in templates/credits/email. What every mail may use: `user`, `origin`, `purchase`
and `amount`, which is the purchase's total in the buyer's language.
"""

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.mails import queue_mail
from accounts.models import User
from credits.currencies import format_amount
from credits.models import Document, Purchase


def send(name: str, user: User, *, language: str, **context: Any) -> None:
    """Queue the mail `name` in `language`, in the caller's transaction.

    A deleted account has no address any more and gets none.
    """
    if user.closed_at is None:
        queue_mail(user, f"credits/email/{name}", language=language or None, **context)


def send_about(name: str, purchase: Purchase, **context: Any) -> None:
    """Queue a mail about a purchase in its buyer's language."""
    language = choose_language(purchase)
    amount = format_amount(purchase.total, purchase.currency, language)
    send(
        name,
        purchase.user,
        language=language,
        **{"purchase": purchase, "amount": amount, **context},
    )


def choose_language(purchase: Purchase) -> str:
    """Return the language of the buyer; that of the purchase where the buyer has chosen none."""
    chosen = purchase.user.language or purchase.language
    return chosen if chosen in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE[:2]


def link_document(document: Document) -> str:
    """Return the address of a document, for a mail."""
    path = reverse("account_document", args=[document.public_id])
    return f"{settings.PUBLIC_ORIGIN}{path}"
