"""Credit notes for money that went back, as section 86/10 of the Thai Revenue Code wants them.

A tax invoice gets a credit note, a receipt a refund note. A refund gets its note at once; a dispute
gets it when it is lost, because until then the money may come back. Of a refund that fails, and of
a dispute that is won after all, the note is cancelled. The notes of a payment add up to what was
paid and to its tax, as long as none of them is cancelled; a cancelled one can leave one minor unit
of tax to the next.
"""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from credits.documents import facts, issue, texts
from credits.documents.facts import Facts
from credits.documents.texts import Text, say
from credits.models import Document, PaymentReversal
from credits.models.documents import DocumentKind
from credits.purchases import taxes

LOST = frozenset({"lost"})
NOT_RETURNED = gettext_noop("The money was not returned after all.")
CHANGED = gettext_noop("Another amount was returned.")
REASONS = {
    PaymentReversal.Kind.REFUND: _("The service was cancelled and paid back."),
    PaymentReversal.Kind.DISPUTE: _(
        "The buyer's bank took the payment back, and the service was cancelled."
    ),
}


@dataclass(frozen=True)
class Part:
    """The part of a document's amounts that goes back, and what went back before it."""

    total: int
    tax: int
    earlier_total: int
    earlier_tax: int

    @property
    def net(self) -> int:
        return self.total - self.tax

    @property
    def earlier_net(self) -> int:
        return self.earlier_total - self.earlier_tax


def settle_note(reversal: PaymentReversal) -> Document | None:
    """Issue or cancel the note of a reversal; return a note that was issued or cancelled now.

    None if nothing has to be done, so a repeated call has no effect. The caller has locked the user
    and the purchase.
    """
    note = Document.objects.filter(reversal=reversal, cancelled_at=None).first()
    if not is_final(reversal):
        return _cancel(note, NOT_RETURNED)
    if note is not None and note.facts["reversed"] == reversal.amount:
        return None
    _cancel(note, CHANGED)
    return _issue_note(reversal)


def is_final(reversal: PaymentReversal) -> bool:
    """True while money went back by a refund, or by a dispute that is lost."""
    if reversal.kind == PaymentReversal.Kind.REFUND:
        return reversal.is_in_force
    return reversal.is_in_force and reversal.dispute is not None and reversal.dispute.status in LOST


def calculate_part(original: Facts, amount: int, notes: list[Facts]) -> Part:
    """Return the part of the original that `amount` takes, after the notes in force.

    The tax is what all notes together have of it: rounded once for their sum, so that notes over
    all of the total have exactly its tax.
    """
    earlier_total = sum(note["total"] for note in notes)
    earlier_tax = sum(note["tax"] for note in notes)
    total = max(min(amount, original["total"] - earlier_total), 0)
    tax = _share_tax(original, earlier_total + total) - earlier_tax
    return Part(
        total=total,
        tax=min(max(tax, 0), total),
        earlier_total=earlier_total,
        earlier_tax=earlier_tax,
    )


def _share_tax(original: Facts, amount: int) -> int:
    """Return the tax in `amount` of the original's total, rounded half up."""
    total, tax = original["total"], original["tax"]
    return int((2 * tax * amount + total) // (2 * total)) if total else 0


def _cancel(note: Document | None, because: str) -> Document | None:
    if note is not None:
        issue.cancel_document(note, because)
    return note


def _issue_note(reversal: PaymentReversal) -> Document | None:
    """Issue the note; None without a document to name, or if all of it has its notes already.

    A payment that was sent back at once, because its account was deleted, has no document.
    """
    original = issue.find_current(reversal.purchase)
    if original is None:
        return None
    notes = [note.facts for note in issue.list_notes(reversal.purchase)]
    part = calculate_part(original.facts, reversal.amount, notes)
    if part.total == 0:
        return None
    kind = _choose_kind(original)
    return issue.write_document(
        kind=kind,
        purchase=reversal.purchase,
        described=_describe_note(kind, original, reversal, part),
        corrects=original,
        reversal=reversal,
    )


def _choose_kind(original: Document) -> DocumentKind:
    if original.kind in issue.TAX_DOCUMENTS:
        return DocumentKind.CREDIT_NOTE
    return DocumentKind.REFUND_NOTE


def _describe_note(
    kind: DocumentKind, original: Document, reversal: PaymentReversal, part: Part
) -> Facts:
    old: Facts = original.facts
    languages = old["languages"]
    today = taxes.get_day(timezone.now())
    reason = say(languages, REASONS[PaymentReversal.Kind(reversal.kind)])
    return {
        **facts.describe_frame(kind, languages, today),
        **facts.describe_amounts(old["currency"], part.total, languages),
        "net": part.net,
        "tax": part.tax,
        "total": part.total,
        "percent": old["percent"],
        "reversed": reversal.amount,
        "seller": old["seller"],
        "buyer": old["buyer"],
        "lines": [],
        "sums": _list_sums(kind, old, part),
        "references": _list_references(original, reason),
        "notes": [],
    }


def _list_sums(kind: DocumentKind, old: Facts, part: Part) -> list[dict[str, Any]]:
    """Return the value of the original, the correct value, their difference and its tax."""
    languages = old["languages"]
    if kind == DocumentKind.REFUND_NOTE and not old["tax"]:
        return _list_totals(languages, old, part)
    is_vat = kind == DocumentKind.CREDIT_NOTE
    value = _("Value on the original tax invoice") if is_vat else _("Amount on the receipt, no tax")
    rows = [(value, old["net"])]
    if part.earlier_total:
        rows.append((_("Taken off by earlier notes"), -part.earlier_net))
    rows.append((_("Correct value"), old["net"] - part.earlier_net - part.net))
    rows.append((_("Difference"), part.net))
    named = [{"text": say(languages, text), "amount": amount} for text, amount in rows]
    sums = facts.list_sums(
        kind, languages, old["percent"], net=part.net, tax=part.tax, total=part.total
    )
    return [*named, *sums[1:-1], {**sums[-1], "text": say(languages, _("Total returned"))}]


def _list_totals(languages: list[str], old: Facts, part: Part) -> list[dict[str, Any]]:
    rows = [(_("Amount on the receipt"), old["total"])]
    if part.earlier_total:
        rows.append((_("Returned before"), -part.earlier_total))
    rows.append((_("Total returned"), part.total))
    return [{"text": say(languages, text), "amount": amount} for text, amount in rows]


def _list_references(original: Document, reason: Text) -> list[dict[str, Any]]:
    """Return the number and date of the original, what it was for, and why money went back."""
    old: Facts = original.facts
    languages = old["languages"]
    is_invoice = original.kind in issue.TAX_DOCUMENTS
    name = _("Original tax invoice") if is_invoice else _("Original receipt")
    day = texts.write_day(issue.read_day(old), languages)
    return [
        {"text": say(languages, name), "value": original.number},
        {"text": say(languages, _("Dated")), "value": day},
        *({"text": old["labels"]["line"], "value": line["text"]} for line in old["lines"]),
        {"text": say(languages, _("Reason")), "value": reason},
    ]
