"""What the ledger takes and gives back for the reversals of a purchase.

The caller holds the locks of the user's row and the purchase's row.
"""

from accounts.models import User
from credits import balances, ledger
from credits.models import Operation, PaymentReversal, Purchase, Refund, Transaction
from credits.reversals.amounts import Payment, Reversal, Verb, compute_target, plan_steps

UNLINKED = (Refund.State.TAKEN, Refund.State.SENT, Refund.State.ACCEPTED)
PREFIXES = {PaymentReversal.Kind.REFUND: "re", PaymentReversal.Kind.DISPUTE: "dp"}
TAKEN_FOR = {
    PaymentReversal.Kind.REFUND: "Payment refunded",
    PaymentReversal.Kind.DISPUTE: "Payment disputed",
}
RETURNED_FOR = {
    PaymentReversal.Kind.REFUND: "Refund failed",
    PaymentReversal.Kind.DISPUTE: "Disputed money returned",
}


def list_unlinked(purchase: Purchase) -> list[Refund]:
    """Return our requests whose credits are taken and that Stripe has not told us of yet."""
    requests = purchase.refunds.filter(state__in=UNLINKED, reversal=None)
    return list(requests.order_by("pk"))


def sum_in_force(purchase: Purchase) -> int:
    """Return how much of the payment went back or is on its way, in minor units."""
    reversals = sum(row.amount for row in purchase.reversals.filter(is_in_force=True))
    return reversals + sum(request.amount for request in list_unlinked(purchase))


def count_credits(purchase: Purchase, amount: int) -> int:
    """Return how many credits a further refund of `amount` minor units takes."""
    if purchase.transaction is None:
        return 0
    payment, known = _read(purchase, list(purchase.reversals.all()))
    target = compute_target(payment, sum(each.amount for each in known) + amount)
    return max(target - sum(each.credits for each in known), 0)


def read_payment(purchase: Purchase) -> tuple[Payment, int]:
    """Return the payment, and the credits that its reversals have taken so far."""
    payment, known = _read(purchase, list(purchase.reversals.all()))
    return payment, sum(each.credits for each in known)


def move_credits(purchase: Purchase, *, reinstated_by: str = "") -> None:
    """Take or give back credits until they are the share of the money that went back.

    `reinstated_by` is the balance transaction by which a dispute gave money back, for the key of
    what is restored. Verbs are called only with what they can do, because a refusal would be stored
    for its key.
    """
    if purchase.transaction is None:
        return
    rows = {row.stripe_id: row for row in purchase.reversals.order_by("pk")}
    payment, known = _read(purchase, list(rows.values()))
    for step in plan_steps(payment, known):
        if (row := rows.get(step.stripe_id)) is None:
            continue  # A request that Stripe has not told us of is corrected when it has.
        if step.verb is Verb.TAKE:
            _take(purchase.transaction, row, step.credits)
        elif row.taken is not None:
            _give_back(row.taken, row, reinstated_by)


def make_key(user: User, base: str) -> str:
    """Return `base`, or `base:2`, `base:3`, … if the ledger has used it for this user."""
    used = Operation.objects.filter(user=user, idempotency_key__startswith=base)
    keys = set(used.values_list("idempotency_key", flat=True))
    number, key = 1, base
    while key in keys:
        number += 1
        key = f"{base}:{number}"
    return key


def _read(purchase: Purchase, rows: list[PaymentReversal]) -> tuple[Payment, list[Reversal]]:
    """Return the payment and its reversals as the plan needs them.

    Credits that were refunded without money do not belong to the payment any more.
    """
    unlinked = list_unlinked(purchase)
    known = [
        *(Reversal(each.public_id, each.amount, each.credits) for each in unlinked),
        *(Reversal(row.stripe_id, _count(row), _get_held(row)) for row in rows),
    ]
    credits = purchase.credits
    if purchase.transaction is not None:
        reversed_before = balances.reversed_so_far(purchase.transaction)
        credits -= max(reversed_before - sum(each.credits for each in known), 0)
    return Payment(purchase.paid_total, credits), known


def _count(row: PaymentReversal) -> int:
    return row.amount if row.is_in_force else 0


def _get_held(row: PaymentReversal) -> int:
    """Return the credits that the reversal has taken and not given back."""
    return row.credits if row.taken and not row.given_back else 0


def _take(bought: Transaction, row: PaymentReversal, credits: int) -> None:
    credits = min(credits, balances.refundable(bought))
    if credits <= 0:
        return
    row.taken = ledger.claw_back(
        transaction=bought,
        amount=credits,
        reason=TAKEN_FOR[PaymentReversal.Kind(row.kind)],
        idempotency_key=make_key(bought.user, _name(row)),
    )
    row.given_back, row.credits = None, credits
    row.save(update_fields=["taken", "given_back", "credits"])


def _give_back(taken: Transaction, row: PaymentReversal, reinstated_by: str) -> None:
    if balances.restorable(taken) <= 0:
        # Its debt was written off, so nothing is owed in either direction.
        row.credits = 0
        row.save(update_fields=["credits"])
        return
    is_won = row.kind == PaymentReversal.Kind.DISPUTE and not row.is_in_force and reinstated_by
    base = f"dp:{reinstated_by}" if is_won else f"{_name(row)}:back"
    row.given_back = ledger.restore(
        transaction=taken,
        reason=RETURNED_FOR[PaymentReversal.Kind(row.kind)],
        idempotency_key=make_key(taken.user, base),
    )
    row.save(update_fields=["given_back"])


def _name(row: PaymentReversal) -> str:
    return f"{PREFIXES[PaymentReversal.Kind(row.kind)]}:{row.stripe_id}"
