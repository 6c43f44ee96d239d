"""Credit notes: what they name, when they come and go, and that parts add up to the whole."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from credits.documents import credit_notes
from credits.documents.credit_notes import calculate_part, settle_note
from credits.documents.issue import NotReplaceable, list_notes, refuse_buyer, replace_document
from credits.models import Document, PaymentReversal
from tests.credits.documents.conftest import COMPANY, PERSON

Issue = Callable[..., Document]
Reverse = Callable[..., PaymentReversal]
database = pytest.mark.django_db


def as_note(part: credit_notes.Part) -> dict[str, int]:
    return {"total": part.total, "tax": part.tax, "net": part.net}


@given(
    total=st.integers(min_value=1, max_value=10**10),
    percent=st.integers(min_value=0, max_value=30),
    cuts=st.lists(st.integers(min_value=1, max_value=10**10), max_size=12),
)
def test_notes_of_parts_add_up_to_the_whole(total: int, percent: int, cuts: list[int]) -> None:
    tax = total * percent // (100 + percent)
    original = {"total": total, "tax": tax, "net": total - tax}
    notes: list[dict[str, int]] = []
    for amount in [*cuts, total]:
        part = calculate_part(original, amount, notes)
        assert 0 <= part.tax <= part.total <= amount
        notes.append(as_note(part))
    assert sum(note["total"] for note in notes) == total
    assert sum(note["tax"] for note in notes) == tax
    assert sum(note["net"] for note in notes) == total - tax


@given(
    total=st.integers(min_value=1, max_value=10**6),
    percent=st.integers(min_value=0, max_value=30),
    steps=st.lists(
        st.tuples(st.integers(min_value=1, max_value=10**6), st.booleans()), max_size=20
    ),
)
def test_cancelled_notes_leave_a_minor_unit_of_tax_each_at_most(
    total: int, percent: int, steps: list[tuple[int, bool]]
) -> None:
    tax = total * percent // (100 + percent)
    original = {"total": total, "tax": tax, "net": total - tax}
    notes: list[dict[str, int]] = []
    cancelled = 0
    for amount, is_cancelled in steps:
        if is_cancelled and notes:
            notes.pop(amount % len(notes))
            cancelled += 1
        else:
            notes.append(as_note(calculate_part(original, amount, notes)))
    notes.append(as_note(calculate_part(original, total, notes)))
    assert sum(note["total"] for note in notes) == total
    assert abs(sum(note["tax"] for note in notes) - tax) <= cancelled


@database
def test_a_refund_gets_a_note_that_names_the_invoice(
    seller: Any, poor: User, issue: Issue, reverse: Reverse
) -> None:
    original = issue(poor, buyer=COMPANY)
    note = settle_note(reverse(original, 100_00))
    assert note is not None
    assert (note.kind, note.corrects, note.number[:2]) == ("credit_note", original, "CN")
    facts = note.facts
    assert (facts["net"], facts["tax"], facts["total"]) == (93_46, 6_54, 100_00)
    assert [(line["text"]["en"], line["amount"]) for line in facts["sums"]] == [
        ("Value on the original tax invoice", 185_98),
        ("Correct value", 92_52),
        ("Difference", 93_46),
        ("VAT 7%", 6_54),
        ("Total returned", 100_00),
    ]
    references = {line["text"]["th"]: line["value"] for line in facts["references"]}
    assert references["ใบกำกับภาษีเดิมเลขที่"] == "TI2026-000001"
    assert references["ลงวันที่"]["th"] == "1 ธันวาคม 2569"
    assert references["เหตุผล"]["th"] == "ยกเลิกการให้บริการและคืนเงิน"
    assert facts["buyer"] == original.facts["buyer"]


@database
def test_a_second_note_says_what_the_first_took(
    seller: Any, poor: User, issue: Issue, reverse: Reverse
) -> None:
    original = issue(poor)
    settle_note(reverse(original, 100_00))
    note = settle_note(reverse(original, 99_00))
    assert note is not None
    amounts = {line["text"]["en"]: line["amount"] for line in note.facts["sums"]}
    assert amounts["Taken off by earlier notes"] == -93_46
    assert amounts["Correct value"] == 0
    assert (note.facts["net"], note.facts["tax"]) == (92_52, 6_48)


@database
def test_a_receipt_gets_a_refund_note(poor: User, issue: Issue, reverse: Reverse) -> None:
    original = issue(poor, currency="usd", total=20_00)
    note = settle_note(reverse(original, 5_00))
    assert note is not None
    assert (note.kind, note.number[:2]) == ("refund_note", "RN")
    assert [line["amount"] for line in note.facts["sums"]] == [20_00, 5_00]


@database
def test_a_repeated_event_issues_one_note(poor: User, issue: Issue, reverse: Reverse) -> None:
    reversal = reverse(issue(poor), 5_00)
    assert settle_note(reversal) is not None
    assert settle_note(reversal) is None
    assert Document.objects.filter(reversal=reversal).count() == 1


@database
def test_a_refund_that_fails_cancels_its_note(poor: User, issue: Issue, reverse: Reverse) -> None:
    reversal = reverse(issue(poor), 199_00)
    issued = settle_note(reversal)
    reversal.is_in_force = False
    cancelled = settle_note(reversal)
    assert cancelled == issued
    assert cancelled is not None
    assert cancelled.cancelled_because == credit_notes.NOT_RETURNED
    assert settle_note(reversal) is None
    reversal.is_in_force = True  # asked for once more
    again = settle_note(reversal)
    assert again is not None
    assert again.number != cancelled.number


@database
@pytest.mark.parametrize("status", ["needs_response", "under_review", "won", "prevented"])
def test_a_dispute_gets_its_note_when_it_is_lost(
    poor: User, issue: Issue, reverse: Reverse, status: str
) -> None:
    original = issue(poor)
    reversal = reverse(original, 199_00, dispute=status)
    assert settle_note(reversal) is None
    assert reversal.dispute is not None
    reversal.dispute.status = "lost"
    note = settle_note(reversal)
    assert note is not None
    assert "bank" in note.facts["references"][-1]["value"]["en"]
    reversal.is_in_force = False  # reinstated after an appeal
    assert settle_note(reversal) == note
    assert not list_notes(original.purchase)


@database
def test_another_amount_is_another_note(poor: User, issue: Issue, reverse: Reverse) -> None:
    reversal = reverse(issue(poor), 199_00, dispute="lost")
    first = settle_note(reversal)
    reversal.amount = 150_00
    second = settle_note(reversal)
    assert first is not None
    assert second is not None
    first.refresh_from_db()
    assert first.cancelled_because == credit_notes.CHANGED
    assert second.facts["total"] == 150_00


@database
def test_no_more_goes_back_than_was_paid(poor: User, issue: Issue, reverse: Reverse) -> None:
    original = issue(poor)
    refund = settle_note(reverse(original, 150_00))
    dispute = settle_note(reverse(original, 199_00, dispute="lost"))
    assert refund is not None
    assert dispute is not None
    assert dispute.facts["total"] == 49_00
    assert settle_note(reverse(original, 1_00)) is None


@database
def test_a_payment_without_a_document_gets_no_note(
    poor: User, pay: Any, issue: Issue, reverse: Reverse
) -> None:
    document = issue(poor)
    reversal = reverse(document, 1_00)
    reversal.purchase = pay(poor, state="returned")  # of an account that was deleted meanwhile
    assert settle_note(reversal) is None


@database
def test_what_a_credit_note_names_is_not_replaced(
    poor: User, issue: Issue, reverse: Reverse
) -> None:
    original = issue(poor)
    note = settle_note(reverse(original, 1_00))
    assert note is not None
    for document in (original, note):
        with pytest.raises(NotReplaceable):
            refuse_buyer(document)
        with pytest.raises(NotReplaceable):
            replace_document(document, buyer=PERSON)
