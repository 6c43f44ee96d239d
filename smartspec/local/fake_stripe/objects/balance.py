"""Balance transactions: what each payment, refund and dispute moved on Stripe's own books."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
FEE_PERCENT = 3
AVAILABLE_SECONDS = 7 * 24 * 3600


def move_money(
    state: State, *, amount: int, currency: str, type: str, source: str, fee: int = 0
) -> Entry:
    """Book an amount in minor units, negative if it leaves; `fee` is taken besides."""
    return state.add(
        complete(
            stripe.BalanceTransaction,
            {
                "id": state.make_id("txn"),
                "amount": amount,
                "available_on": state.now() + AVAILABLE_SECONDS,
                "balance_type": "payments",
                "created": state.now(),
                "currency": currency,
                "fee": fee,
                "fee_details": _describe_fee(fee, currency),
                "net": amount - fee,
                "reporting_category": REPORTED_AS.get(type, type),
                "source": source,
                "status": "pending",
                "type": type,
            },
        )
    )


REPORTED_AS = {"adjustment": "dispute", "refund_failure": "refund_failure"}


def _describe_fee(fee: int, currency: str) -> list[Json]:
    described = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return [described] if fee else []


def compute_fee(amount: int) -> int:
    return amount * FEE_PERCENT // 100


def retrieve_move(call: Call) -> Entry:
    return call.get_named("balance_transaction")


def list_moves(call: Call) -> Json:
    return answers.list_objects(
        call,
        "balance_transaction",
        "/v1/balance_transactions",
        filters=("currency", "source", "type"),
    )
