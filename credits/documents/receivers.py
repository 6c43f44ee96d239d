"""What is written when a purchase is paid, fails, or goes back: documents and mails.

Each function is called once for its cause, inside the transaction that posted it, with the user and
the purchase locked. So a mail and a document exist exactly if the credits moved.
"""

from credits.currencies import format_amount
from credits.documents import credit_notes, issue, mails
from credits.models import Document, PaymentReversal, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import settlement
from credits.reversals import records


def register() -> None:
    """Have the functions of this module called. Registering twice has no further effect."""
    for receivers, receiver in (
        (settlement.paid_receivers, on_paid),
        (settlement.waiting_receivers, on_waiting),
        (settlement.ended_receivers, on_ended),
    ):
        if receiver not in receivers:
            receivers.append(receiver)
    if on_recorded not in records.recorded_receivers:
        records.recorded_receivers.append(on_recorded)


def on_paid(purchase: Purchase) -> None:
    """Issue the receipt or tax invoice, and send it."""
    document = issue.issue_document(purchase)
    mails.send_about("paid", purchase, document=document, link=mails.link_document(document))


def on_ended(purchase: Purchase) -> None:
    """Tell a buyer that a payment failed. One that nobody could begin to pay ends silently.

    Refills and plans are told of where the next step is known.
    """
    is_package = purchase.kind == Purchase.Kind.PACKAGE
    if is_package and purchase.state == PurchaseState.FAILED and purchase.checkout_session:
        mails.send_about("payment_failed", purchase)


def on_waiting(purchase: Purchase) -> None:
    """Tell a buyer that the bank has to confirm the payment first."""
    if purchase.kind == Purchase.Kind.PACKAGE:
        mails.send_about("waiting", purchase)


def on_recorded(purchase: Purchase) -> None:
    """Issue and cancel credit notes as the reversals of a purchase want it, and send new ones."""
    for reversal in purchase.reversals.select_related("dispute").order_by("pk"):
        note = credit_notes.settle_note(reversal)
        if note is not None and note.cancelled_at is None:
            _send_note(note, reversal)


def _send_note(note: Document, reversal: PaymentReversal) -> None:
    purchase = reversal.purchase
    is_refund = reversal.kind == PaymentReversal.Kind.REFUND
    returned = format_amount(
        note.facts["total"], purchase.currency, mails.choose_language(purchase)
    )
    mails.send_about(
        "refunded" if is_refund else "credit_note",
        purchase,
        amount=returned,
        document=note,
        link=mails.link_document(note),
    )
