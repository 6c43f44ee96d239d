"""What a settlement writes besides the credits: a document and a mail, once, or nothing at all."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.access import account_deletion
from accounts.mails import decrypt_body
from accounts.models import OutgoingMail, User
from accounts.toolbox.request_source import Source
from credits.documents import mails
from credits.models import Document, PaymentReversal, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import settlement
from credits.purchases.facts import Finding
from credits.reversals import records
from credits.reversals.facts import DisputeFact, Facts, RefundFact, Withdrawal

pytestmark = pytest.mark.django_db


@pytest.fixture
def open_purchase(poor: User, pay: Callable[..., Purchase]) -> Purchase:
    """A purchase that waits for its payment."""
    OutgoingMail.objects.all().delete()
    return pay(
        poor, state="open", paid_at=None, payment_intent="", method="", checkout_session="cs_1"
    )


def find(purchase: Purchase, state: PurchaseState = PurchaseState.PAID, **facts: Any) -> Finding:
    return Finding(
        state,
        **{
            "payment_intent": "pi_test",
            "total": purchase.total,
            "currency": purchase.currency,
            "reference": purchase.public_id,
            "method": "card",
            "paid_at": timezone.now(),
            **facts,
        },
    )


def list_mails() -> list[str]:
    return list(OutgoingMail.objects.order_by("pk").values_list("subject", flat=True))


def test_a_payment_gets_its_document_and_one_mail(seller: Any, open_purchase: Purchase) -> None:
    for _ in range(3):
        settlement.apply(open_purchase, find(open_purchase))
    document = Document.objects.get()
    mail = OutgoingMail.objects.get()
    body = decrypt_body(mail)
    assert mail.subject == "SmartSpec: Payment received: ฿199.00"
    assert document.number in body
    assert f"/account/credits/documents/{document.public_id}" in body


def test_a_settlement_that_fails_leaves_no_document_and_no_number(
    seller: Any, open_purchase: Purchase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(mails, "queue_mail", fail)
    with pytest.raises(RuntimeError):
        settlement.apply(open_purchase, find(open_purchase))
    assert not Document.objects.exists()
    monkeypatch.undo()
    settlement.apply(open_purchase, find(open_purchase, paid_at=timezone.now()))
    assert Document.objects.get().serial == 1


@pytest.mark.parametrize("state", [PurchaseState.EXPIRED, PurchaseState.REVIEW, PurchaseState.OPEN])
def test_what_nobody_paid_gets_neither(open_purchase: Purchase, state: PurchaseState) -> None:
    settlement.apply(open_purchase, find(open_purchase, state))
    assert not Document.objects.exists()
    assert list_mails() == []


def test_a_wrong_total_gets_neither(open_purchase: Purchase) -> None:
    settlement.apply(open_purchase, find(open_purchase, total=199_01))
    assert not Document.objects.exists()
    assert list_mails() == []


def test_a_slow_bank_and_a_failure_are_told_once_each(open_purchase: Purchase) -> None:
    for state in (PurchaseState.PROCESSING, PurchaseState.PROCESSING, PurchaseState.FAILED):
        settlement.apply(open_purchase, find(open_purchase, state))
    assert list_mails() == [
        "SmartSpec: Waiting for your bank: ฿199.00",
        "SmartSpec: Your payment of ฿199.00 did not go through",
    ]


def test_a_page_that_stripe_did_not_open_is_no_failed_payment(open_purchase: Purchase) -> None:
    Purchase.objects.update(checkout_session="")
    settlement.apply(open_purchase, find(open_purchase, PurchaseState.FAILED))
    assert list_mails() == []


def test_a_deleted_account_gets_no_mail_and_no_document(
    open_purchase: Purchase, poor: User
) -> None:
    account_deletion.close(user=poor, source=Source())
    OutgoingMail.objects.all().delete()
    settlement.apply(open_purchase, find(open_purchase))
    assert not Document.objects.exists()
    assert list_mails() == []


@pytest.mark.parametrize(("chosen", "bought_in"), [("", "th"), ("th", "en")])
def test_a_mail_is_in_the_language_of_the_buyer(
    open_purchase: Purchase, chosen: str, bought_in: str
) -> None:
    User.objects.update(language=chosen)
    Purchase.objects.update(language=bought_in)
    settlement.apply(open_purchase, find(open_purchase))
    assert list_mails() == ["SmartSpec: ได้รับเงินแล้ว: 199.00 บาท"]


def test_stripes_tax_is_on_the_receipt(settings: Any, open_purchase: Purchase) -> None:
    settings.TAX_MODE = "stripe"
    settlement.apply(open_purchase, find(open_purchase, total=218_90, tax=19_90))
    facts = Document.objects.get().facts
    assert (facts["net"], facts["tax"], facts["total"]) == (199_00, 19_90, 218_90)
    assert [line["text"]["en"] for line in facts["sums"]] == [
        "Amount without tax",
        "Tax",
        "Total amount",
    ]


# Money that goes back.


@pytest.fixture
def paid(open_purchase: Purchase) -> Purchase:
    settlement.apply(open_purchase, find(open_purchase))
    OutgoingMail.objects.all().delete()
    return Purchase.objects.get(pk=open_purchase.pk)


def note_refund(paid: Purchase, status: str) -> None:
    records.record(paid, Facts(refunds=[RefundFact("re_1", 50_00, status)]))


def test_a_refund_gets_a_note_and_a_mail_and_a_failed_one_loses_the_note(
    seller: Any, paid: Purchase
) -> None:
    for status in ("pending", "pending", "succeeded"):
        note_refund(paid, status)
    note = Document.objects.get(kind="credit_note", cancelled_at=None)
    assert list_mails() == ["SmartSpec: Refund of ฿50.00"]
    assert note.public_id in decrypt_body(OutgoingMail.objects.get())
    note_refund(paid, "failed")
    assert Document.objects.get(kind="credit_note").cancelled_at is not None
    assert len(list_mails()) == 2


def test_a_lost_dispute_gets_a_credit_note_when_it_is_lost(seller: Any, paid: Purchase) -> None:
    def tell(status: str, movements: int) -> None:
        dispute = DisputeFact(
            "dp_1",
            status,
            "fraudulent",
            paid.total,
            None,
            withdrawals=(Withdrawal("txn_1", paid.total),),
            movements=movements,
        )
        records.record(paid, Facts(disputes=[dispute]))

    tell("needs_response", 1)
    assert PaymentReversal.objects.get().is_in_force
    assert not Document.objects.filter(kind="credit_note").exists()
    for _ in range(2):
        tell("lost", 1)
    note = Document.objects.get(kind="credit_note")
    assert note.facts["total"] == paid.total
    assert list_mails()[-1] == "SmartSpec: Your bank has returned ฿199.00 to you"
    assert len(list_mails()) == 1
