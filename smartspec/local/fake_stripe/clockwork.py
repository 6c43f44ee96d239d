"""What is due by the fake's clock: sessions that expire, banks that answer, months that end."""

from collections.abc import Callable
from contextlib import suppress

from smartspec.local.fake_stripe.billing import cycles
from smartspec.local.fake_stripe.checkout import buying, sessions
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.payments import disputes, refunds, warnings
from smartspec.local.fake_stripe.wire.refusals import Refusal


def catch_up(state: State) -> None:
    """Do what is due by now, each thing at its own time. The caller holds the lock."""
    now = state.now()
    while due := state.take_due(now):
        at, act, object_id = due
        kind, do = ACTS[act]
        entry = state.find(kind, object_id)
        if entry is None:
            continue
        state.frozen_at = at
        try:
            # What became impossible meanwhile is not done: a refund that was cancelled by hand.
            with suppress(Refusal):
                do(state, entry)
        finally:
            state.frozen_at = None


def advance(state: State, seconds: int) -> None:
    """Move the clock forward and do what becomes due on the way."""
    state.move_clock(seconds)
    catch_up(state)


def _expire_session(state: State, session: Entry) -> None:
    if session.object["status"] == "open":
        sessions.expire(state, session)


def _settle(outcome: str) -> Callable[[State, Entry], None]:
    return lambda state, intent: buying.settle_intent(state, intent, outcome)


def _refund(status: str) -> Callable[[State, Entry], None]:
    return lambda state, refund: refunds.settle_refund(state, refund, status)


def _dispute(reason: str, status: str = "needs_response") -> Callable[[State, Entry], None]:
    def open_dispute(state: State, charge: Entry) -> None:
        disputes.open_dispute(state, charge, reason=reason, status=status)

    return open_dispute


def _warn(state: State, charge: Entry) -> None:
    warnings.make_warning(state, charge)


ACTS: dict[str, tuple[str, Callable[[State, Entry], None]]] = {
    "session.expire": ("checkout.session", _expire_session),
    "intent.succeeded": ("payment_intent", _settle("succeeded")),
    "intent.failed": ("payment_intent", _settle("failed")),
    "refund.succeeded": ("refund", _refund("succeeded")),
    "refund.failed": ("refund", _refund("failed")),
    "charge.dispute": ("charge", _dispute("fraudulent")),
    "charge.not_received": ("charge", _dispute("product_not_received")),
    "charge.inquiry": ("charge", _dispute("fraudulent", "warning_needs_response")),
    "charge.warning": ("charge", _warn),
    "subscription.renew": ("subscription", cycles.renew),
    "subscription.expire_pending": ("subscription", cycles.expire_pending),
    "subscription.expire_incomplete": ("subscription", cycles.expire_incomplete),
    "invoice.finalize": ("invoice", cycles.finalize_draft),
    "invoice.retry": ("invoice", cycles.retry),
}
