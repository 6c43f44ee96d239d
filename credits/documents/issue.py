"""Issuing documents about payments, and issuing them anew.

A document is written in the transaction that gives the credits. Nothing on it is ever corrected:
it is cancelled, and a new one names it. Locks: user, purchase, then the counter.
"""

from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits.documents import buyer_details, facts, texts
from credits.documents.buyer_details import Buyer
from credits.documents.facts import Facts
from credits.documents.numbers import format_number, take_serial
from credits.models import Document, PaymentReversal, Purchase
from credits.models.documents import DocumentKind
from credits.purchases import taxes

NOTES = (DocumentKind.CREDIT_NOTE, DocumentKind.REFUND_NOTE)
TAX_DOCUMENTS = (DocumentKind.TAX_INVOICE, DocumentKind.ABBREVIATED)
MOST_REPLACEMENTS = 5  # of one purchase's document, by its buyer
REPLACED = gettext_noop("Replaced by a document with other details of the customer.")
# The Thai of the first is the sentence that Thor.Por. 86/2542 wants.
REPLACES_INVOICE = _(
    "The earlier tax invoice with number %(number)s is cancelled and replaced by this one."
)
REPLACES_RECEIPT = _(
    "The earlier receipt with number %(number)s is cancelled and replaced by this one."
)


class NotReplaceable(Refusal):
    """The buyer may not have this document issued anew."""

    status = 409
    code = "not_replaceable"


def issue_document(purchase: Purchase) -> Document:
    """Return the document of a paid purchase, issued now unless it is there already.

    The caller has locked the user and the purchase.
    """
    issued = find_current(purchase)
    if issued is not None:
        return issued
    _apply_rate_of_payment(purchase)
    buyer = buyer_details.read(purchase.user)
    kind = facts.choose_kind(purchase.currency, buyer)
    described = facts.describe_sale(purchase, kind=kind, buyer=buyer)
    return write_document(kind=kind, purchase=purchase, described=described)


def find_current(purchase: Purchase) -> Document | None:
    """Return the receipt or tax invoice of a purchase that is not cancelled."""
    return Document.objects.filter(purchase=purchase, reversal=None, cancelled_at=None).first()


def list_notes(purchase: Purchase) -> QuerySet[Document]:
    """Return the credit notes and refund notes of a purchase that are not cancelled."""
    return Document.objects.filter(
        purchase=purchase, reversal__isnull=False, cancelled_at=None
    ).order_by("id")


def write_document(
    *,
    kind: DocumentKind,
    purchase: Purchase,
    described: Facts,
    corrects: Document | None = None,
    reversal: PaymentReversal | None = None,
) -> Document:
    """Store a document with the next number of its kind and of the year of its date."""
    year = read_day(described).year
    serial = take_serial(kind, year)
    return Document.objects.create(
        kind=kind,
        year=year,
        serial=serial,
        number=format_number(kind, year, serial),
        user=purchase.user,
        purchase=purchase,
        reversal=reversal,
        corrects=corrects,
        facts=described,
    )


def read_day(described: Facts) -> date:
    """Return the date that is printed on a document."""
    return date.fromisoformat(described["date"])


def read_buyer(document: Document) -> Buyer | None:
    """Return the buyer that is printed on a document."""
    known = document.facts["buyer"]
    return None if known is None else Buyer(**known)


def cancel_document(document: Document, because: str) -> None:
    """Cancel a document; its number stays taken. `because` is English that has a translation."""
    document.cancelled_at, document.cancelled_because = timezone.now(), because
    document.save(update_fields=["cancelled_at", "cancelled_because"])


def replace_document(
    document: Document, *, buyer: Buyer | None, seller: dict[str, Any] | None = None
) -> Document:
    """Cancel a document and issue it anew with other details of the buyer, or of the seller.

    The new one has the date and the amounts of the old one and names it, as the Revenue
    Department's order Thor.Por. 86/2542 wants. Raises NotReplaceable.
    """
    with atomic():
        document = _lock(document)
        _refuse_ended(document)
        described = _describe_anew(document, buyer, seller)
        kind = _choose_kind_anew(document, buyer)
        cancel_document(document, REPLACED)
        return write_document(
            kind=kind, purchase=document.purchase, described=described, corrects=document
        )


def refuse_buyer(document: Document) -> None:
    """Raise NotReplaceable, with a sentence for the buyer, if only the operator may replace it.

    A tax document can be replaced in the month of its date: after it the seller reports the month.
    """
    _refuse_ended(document)
    if document.kind in TAX_DOCUMENTS and not _is_of_this_month(document):
        raise NotReplaceable(
            gettext("This document can be changed in the month of the payment only. Contact us.")
        )
    replaced = Document.objects.filter(purchase=document.purchase_id, reversal=None).count() - 1
    if replaced >= MOST_REPLACEMENTS:
        raise NotReplaceable(gettext("This document has been replaced too often. Contact us."))


def _refuse_ended(document: Document) -> None:
    if document.cancelled_at is not None or document.kind in NOTES:
        raise NotReplaceable(gettext("This document cannot be replaced."))
    if list_notes(document.purchase).exists():
        raise NotReplaceable(
            gettext(
                "Money of this payment was returned, so its document stays as it is. Contact us."
            )
        )


def _is_of_this_month(document: Document) -> bool:
    today = taxes.get_day(timezone.now())
    return str(document.facts["date"])[:7] == today.isoformat()[:7]


def _lock(document: Document) -> Document:
    """Lock the user and the purchase, and return the document as it is then."""
    User.objects.locked(document.user_id)
    Purchase.objects.select_for_update(no_key=True).get(pk=document.purchase_id)
    return Document.objects.select_related("purchase__user").get(pk=document.pk)


def _choose_kind_anew(document: Document, buyer: Buyer | None) -> DocumentKind:
    """A receipt stays one, also if tax invoices have been switched on since."""
    if document.kind not in TAX_DOCUMENTS:
        return DocumentKind(document.kind)
    return DocumentKind.ABBREVIATED if buyer is None else DocumentKind.TAX_INVOICE


def _describe_anew(document: Document, buyer: Buyer | None, seller: dict[str, Any] | None) -> Facts:
    old = document.facts
    languages = old["languages"]
    kind = _choose_kind_anew(document, buyer)
    amounts = {name: old[name] for name in ("net", "tax", "total")}
    note = REPLACES_INVOICE if document.kind in TAX_DOCUMENTS else REPLACES_RECEIPT
    return {
        **old,
        **facts.describe_frame(kind, languages, read_day(old)),
        "seller": seller or old["seller"],
        "buyer": buyer_details.as_fact(buyer),
        "sums": facts.list_sums(kind, languages, old["percent"], **amounts),
        "notes": [texts.say(languages, note, number=document.number)],
    }


def _apply_rate_of_payment(purchase: Purchase) -> None:
    """Split the total by the rate of the day of payment, which may not be that of the order.

    With TAX_MODE=stripe the settlement has written what Stripe calculated.
    """
    if taxes.is_calculated_by_stripe():
        return
    parts = taxes.split(purchase.total, purchase.paid_at or timezone.now())
    purchase.net, purchase.tax, purchase.tax_percent = parts.net, parts.tax, parts.percent
    purchase.save(update_fields=["net", "tax", "tax_percent"])
