"""The audit ties payments, reversals and documents to the ledger, and names what was tampered."""

from itertools import count
from typing import Any

import pytest
from django.db import IntegrityError, connection

from accounts.models import User
from credits.models import (
    Document,
    DocumentCounter,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    Refund,
)
from credits.proof import audit
from credits.reversals.amounts import Payment, Reversal, Verb, plan_steps
from tests.conftest import rows_may_change
from tests.credits.conftest import LATER, execute, give, reverse, spend

pytestmark = pytest.mark.django_db
numbers = count(1)


def pay(user: User, kind: str = "package", credits: int = 100, total: int = 1000) -> Purchase:
    """Buy credits, as settling a payment does."""
    number = next(numbers)
    is_plan = kind == "plan"
    purchase = Purchase.objects.create(
        user=user,
        kind=kind,
        name="Pro",
        credits=credits,
        currency="usd",
        net=total,
        total=total,
        livemode=False,
        payment_intent=f"pi_{number}",
        invoice=f"in_{number}" if is_plan else "",
    )
    purchase.transaction = give(
        user,
        credits,
        "subscription" if is_plan else "purchase",
        reference_id=purchase.invoice or purchase.payment_intent,
        expires_at=LATER if is_plan else None,
    )
    purchase.state = Purchase.State.PAID
    purchase.save()
    return purchase


def send_back(purchase: Purchase, amount: int, kind: str = "refund") -> PaymentReversal:
    """Let money go back, and take the credits that go with it."""
    row = PaymentReversal.objects.create(
        stripe_id=f"re_{next(numbers)}",
        purchase=purchase,
        kind=kind,
        status="succeeded",
        amount=amount,
    )
    move_credits(purchase)
    return PaymentReversal.objects.get(pk=row.pk)


def reinstate(row: PaymentReversal) -> None:
    PaymentReversal.objects.filter(pk=row.pk).update(is_in_force=False)
    move_credits(row.purchase)


def move_credits(purchase: Purchase) -> None:
    rows = {row.stripe_id: row for row in purchase.reversals.order_by("pk")}
    known = [
        Reversal(
            name,
            row.amount * row.is_in_force,
            row.credits if row.taken and not row.given_back else 0,
        )
        for name, row in rows.items()
    ]
    for step in plan_steps(Payment(purchase.total, purchase.credits), known):
        row = rows[step.stripe_id]
        key = f"re:{next(numbers)}"
        if step.verb is Verb.TAKE:
            assert purchase.transaction
            row.taken = reverse(
                "claw_back", purchase.transaction, step.credits, idempotency_key=key
            )
            row.credits, row.given_back = step.credits, None
        else:
            assert row.taken
            row.given_back = reverse("restore", row.taken, idempotency_key=key)
        row.save()


def issue(purchase: Purchase, serial: int, kind: str = "receipt") -> Document:
    DocumentCounter.objects.update_or_create(kind=kind, year=2026, defaults={"last": serial})
    return Document.objects.create(
        kind=kind,
        year=2026,
        serial=serial,
        number=f"{kind}-{serial}",
        user=purchase.user,
        purchase=purchase,
        facts={},
    )


@pytest.fixture
def shop(user: User, poor: User) -> list[Purchase]:
    """Payments of each kind, reversed in parts, and their documents."""
    give(user, 500, "purchase")  # from before the first purchase was kept
    payments = [pay(poor), pay(poor, "refill"), pay(user, "plan"), pay(poor, credits=7, total=5)]
    spend(poor, 150)
    send_back(payments[0], 300)
    send_back(payments[0], 1000, "dispute")
    reinstate(send_back(payments[1], 1000, "dispute"))
    send_back(payments[2], 333)
    fifths = [send_back(payments[3], 1) for _ in range(4)]
    reinstate(fifths[2])
    Purchase.objects.create(
        user=user,
        kind="package",
        name="Pro",
        credits=5,
        currency="usd",
        net=5,
        total=5,
        livemode=False,
        state="open",
    )
    for serial in (1, 2, 3):
        issue(payments[serial], serial)
    issue(payments[0], 1, "credit_note")
    return payments


def find(invariant: int) -> list[str]:
    report = audit.run()
    return [each.problem for each in report.findings if each.invariant == invariant]


def change(*statements: str) -> None:
    """Run statements with the guards off, which only the owner of the tables can do."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor, rows_may_change(cursor):
        execute(*statements)


def test_sound_payments_have_no_findings(shop: list[Purchase]) -> None:
    assert audit.run().findings == []


FIRST = "(SELECT min(id) FROM purchases)"
OF_FIRST = f"purchase_id = {FIRST}"


@pytest.mark.parametrize(
    ("invariant", "statement", "says"),
    [
        (15, f"UPDATE purchases SET credits = 101 WHERE id = {FIRST}", "gave 100 credits"),
        (15, f"UPDATE purchases SET payment_intent = 'pi_x' WHERE id = {FIRST}", "with pi_x for"),
        (
            15,
            "UPDATE purchases SET kind = 'package' WHERE kind = 'plan'",
            "gave 100 credits for in",
        ),
        (15, "UPDATE purchases SET invoice = '' WHERE kind = 'plan'", "paid with nothing"),
        (
            15,
            f"UPDATE purchases SET transaction_id = NULL WHERE id = {FIRST}",
            "but transaction none gave 0",
        ),
        (
            15,
            f"UPDATE purchases SET transaction_id = NULL WHERE id = {FIRST}",
            "no paid purchase names it",
        ),
        (
            15,
            "UPDATE purchases SET transaction_id = NULL, state = 'review' WHERE kind = 'plan'",
            "a subscription of 100 credits",
        ),
        (15, f"UPDATE purchases SET user_id = user_id - 1 WHERE id = {FIRST}", "to user"),
        (15, "UPDATE purchases SET state = 'paid' WHERE state = 'open'", "but transaction none"),
        (
            15,
            f"UPDATE purchases SET payment_intent = '' WHERE id = {FIRST};"
            " UPDATE credit_transactions SET reference_id = '' WHERE id ="
            f" (SELECT transaction_id FROM purchases WHERE id = {FIRST})",
            "paid with nothing for 100 credits, but transaction",
        ),
        (
            16,
            f"UPDATE payment_reversals SET credits = credits + 1 WHERE {OF_FIRST}",
            "that are still taken",
        ),
        (
            16,
            f"UPDATE payment_reversals SET taken_id = NULL WHERE {OF_FIRST} AND kind = 'refund'",
            "no refund or dispute names it",
        ),
        (16, f"DELETE FROM payment_reversals WHERE {OF_FIRST}", "no refund or dispute names it"),
        (
            16,
            "UPDATE payment_reversals SET given_back_id = NULL WHERE given_back_id IS NOT NULL"
            " AND amount = 1000",
            "but transaction",
        ),
        (
            16,
            "UPDATE payment_reversals SET given_back_id = (SELECT min(id) FROM credit_transactions)"
            " WHERE given_back_id IS NOT NULL AND amount = 1000",
            "which does not reverse",
        ),
        (
            16,
            "UPDATE payment_reversals SET is_in_force = true WHERE amount = 1000",
            "but transaction",
        ),
        (
            16,
            "UPDATE payment_reversals SET is_in_force = false WHERE amount = 333",
            "0 of 1000 of purchase",
        ),
        (16, "UPDATE payment_reversals SET amount = 343 WHERE amount = 333", "343 of 1000"),
        (17, "DELETE FROM documents WHERE kind = 'receipt' AND serial = 1", "and 1 is missing"),
        (17, "DELETE FROM documents WHERE kind = 'receipt' AND serial = 2", "and 2 is missing"),
        (17, "DELETE FROM documents WHERE kind = 'receipt' AND serial = 3", "but 3 are counted"),
        (17, "UPDATE documents SET serial = 9 WHERE serial = 3", "and 8 is missing"),
        (17, "UPDATE document_counters SET last = 4", "but 4 are counted"),
        (17, "DELETE FROM document_counters", "but 0 are counted"),
        (17, "DELETE FROM documents", "3 documents receipt 2026 are counted"),
    ],
)
def test_the_audit_names_what_was_tampered(
    shop: list[Purchase], invariant: int, statement: str, says: str
) -> None:
    change(statement)
    problems = find(invariant)
    assert any(says in problem for problem in problems), audit.run().findings


def test_a_forged_purchase_is_found_and_one_from_earlier_times_is_not(
    shop: list[Purchase], poor: User
) -> None:
    give(poor, 100, "purchase", reference_id="pi_forged")
    give(poor, 100, "purchase")
    give(poor, 100, "subscription")
    assert [("pi_forged" in each, "no payment" in each) for each in find(15)] == [
        (True, False),
        (False, True),
    ]


def test_a_refund_under_way_counts_with_the_credits_that_it_took(
    shop: list[Purchase],
) -> None:
    purchase = shop[2]
    assert purchase.transaction
    taken = reverse("refund", purchase.transaction, 20, idempotency_key="refund:1")
    refund = Refund.objects.create(
        purchase=purchase, amount=200, credits=20, reason="why", form_key="f1", transaction=taken
    )
    assert audit.run().findings == []
    Refund.objects.filter(pk=refund.pk).update(state="refused")
    assert [f"transaction {taken.seq}" in each for each in find(16)] == [True]
    reverse("restore", taken)
    assert audit.run().findings == []


def test_credits_refunded_without_money_leave_the_payment(shop: list[Purchase]) -> None:
    purchase = shop[2]
    assert purchase.transaction
    reverse("refund", purchase.transaction, 10, idempotency_key="admin:1")
    assert audit.run().findings == []


def test_what_is_left_after_such_a_refund_is_taken_with_all_of_the_money(
    shop: list[Purchase], poor: User
) -> None:
    purchase = pay(poor)
    assert purchase.transaction
    reverse("refund", purchase.transaction, 10, idempotency_key="approval:1")
    purchase.reversals.create(
        stripe_id="re_all",
        kind="refund",
        status="succeeded",
        amount=1000,
        credits=90,
        taken=reverse("claw_back", purchase.transaction, idempotency_key="re:re_all"),
    )
    assert audit.run().findings == []


def test_a_refund_that_is_counted_twice_is_found(shop: list[Purchase]) -> None:
    purchase = shop[1]
    assert purchase.transaction
    taken = reverse("claw_back", purchase.transaction, 20, idempotency_key="refund:1")
    same: dict[str, Any] = {"purchase": purchase, "amount": 200, "credits": 20}
    refund = Refund.objects.create(
        reason="why", form_key="f1", state="accepted", transaction=taken, **same
    )
    reversal = PaymentReversal.objects.create(
        stripe_id="re_x", kind="refund", status="succeeded", refund=refund, taken=taken, **same
    )
    assert audit.run().findings == []
    PaymentReversal.objects.filter(pk=reversal.pk).update(refund=None)
    assert ["the ledger took 20" in problem for problem in find(16)] == [True]


REFUSED = [
    "UPDATE payment_events SET stripe_id = 'evt_2'",
    "UPDATE payment_events SET received_at = now()",
    "DELETE FROM payment_events",
    "TRUNCATE payment_events",
    "UPDATE documents SET facts = '{}'",
    "UPDATE documents SET serial = serial + 10",
    "UPDATE documents SET user_id = user_id",
    "DELETE FROM documents",
    "TRUNCATE documents CASCADE",
    "DELETE FROM document_counters",
    "UPDATE document_counters SET year = 2027",
    "TRUNCATE document_counters",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_refuses_to_change_an_event_or_a_document(statement: str) -> None:
    with pytest.raises(IntegrityError, match="is append-only"):
        execute(statement)


def test_the_database_refuses_to_change_what_stripe_sent() -> None:
    PaymentEvent.objects.create(
        stripe_id="evt_1", type="x", livemode=False, payload="{}", state="done"
    )
    with pytest.raises(IntegrityError, match="is append-only"):
        execute("UPDATE payment_events SET payload = ''")


def test_what_became_of_an_event_is_written_and_a_document_is_cancelled_once(
    shop: list[Purchase],
) -> None:
    event = PaymentEvent.objects.create(stripe_id="evt_1", type="x", livemode=False, payload="{}")
    PaymentEvent.objects.filter(pk=event.pk).update(state="done", outcome="paid", tries=2)
    documents = Document.objects.filter(kind="receipt")
    documents.update(cancelled_at=LATER, cancelled_because="Wrong address")
    documents.update(cancelled_at=LATER)
    with pytest.raises(IntegrityError, match="is append-only"):
        documents.update(cancelled_at=None)
