"""The scripts of the drill: acts in order, the point at which a process is killed, the checks.

A script is as short as possible: it ends with the killed act and the acts that depend on it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.purchases.points import (
    BUY,
    CANCEL,
    DISPUTE,
    DOWNGRADE,
    END,
    FOLLOW,
    PAST_DUE,
    PAYMENT_POINTS,
    PLAN_FORMS,
    PLAN_POINTS,
    REFILL,
    REFUND,
    RENEW,
    RETURN,
    START,
    TICK,
    UPGRADE,
    Point,
)
from bench.purchases.stage import Stage

# The name of an act of ours, or a function for what a buyer, a bank or Stripe does; then the point
# of the kill.
Step = tuple[str | Callable[[], None], Point | None]
Check = Callable[[], Iterator[str]]
MONTH_SECONDS = 31 * 24 * 3600 + 2 * 3600  # A renewal is a draft for an hour.


@dataclass
class Script:
    """`check` yields what is wrong in the end; `close` leaves nothing for the next script."""

    steps: list[Step]
    check: Check
    close: Callable[[], None] = field(default=lambda: None)


def write_script(staged: Stage, email: str, point: Point) -> Script:
    """Return the script in which this point is reached."""
    if point in PAYMENT_POINTS:
        return _write_payment(staged, email, point)
    return (
        _write_plan(staged, email, point)
        if point in PLAN_POINTS
        else _write_refill(staged, email, point)
    )


def list_next_acts(point: Point) -> list[str]:
    """Return what is done after the kill.

    If nothing of a form was stored, the person sends it again; `tick` does the rest. The forms of
    plans are sent again after `tick` has run, and nothing may happen twice.
    """
    if point.act in PLAN_FORMS:
        return [TICK, point.act]
    return [point.act if point.act == BUY or point.name == "_take_credits" else TICK]


def _write_payment(staged: Stage, email: str, point: Point) -> Script:
    """Return the script of a payment: bought, refunded in part, disputed and won."""
    from bench.purchases import books

    def armed(act: str) -> Point | None:
        return point if point.act == act else None

    def pay() -> None:
        staged.control("pay", session=books.find_purchase(email).checkout_session, card="visa")
        books.store_event(email)

    def open_dispute() -> None:
        staged.control("dispute", payment=books.find_purchase(email).payment_intent)

    def win() -> None:
        staged.control("end_dispute", dispute=books.find_dispute(email), status="won")

    by_tick = point.act == TICK
    resends = by_tick and point.name in ("create_refund", "record")
    lost = Point(REFUND, "after", "credits.reversals.refund_acts", "take")
    resent: list[Step] = [(books.make_due, None), (TICK, point)] if resends else []
    steps: list[Step] = [
        (BUY, armed(BUY)),
        (pay, None),
        (TICK, point) if by_tick and not resends else (RETURN, armed(RETURN)),
        (REFUND, lost if resends else armed(REFUND)),
        *resent,
        (open_dispute, None),
        (DISPUTE, armed(DISPUTE)),
        (win, None),
        (DISPUTE, None),
    ]
    return Script(steps, lambda: books.check_buyer(email))


def _write_plan(staged: Stage, email: str, point: Point) -> Script:
    """Return the script of a plan: started, paid, then renewed, changed, ended or past due."""
    from bench.purchases import plan_books

    moved: list[int] = []

    def pay() -> None:
        session = plan_books.find_plan(email).checkout_session
        staged.control("pay", session=session, card="visa")

    def pass_a_month() -> None:
        moved.append(MONTH_SECONDS)
        staged.control("advance", seconds=MONTH_SECONDS)
        plan_books.make_due()

    def spoil() -> None:
        plan_books.spoil_card(staged, email)

    def pay_past_due() -> None:
        problems.extend(plan_books.check_past_due(email))
        plan_books.pay_past_due(staged, email)
        plan_books.make_due()

    def close() -> None:
        plan_books.end_plan(email)
        plan_books.make_due()
        staged.act(TICK, email)
        staged.control("advance", seconds=-sum(moved))

    def check() -> Iterator[str]:
        yield from problems
        yield from plan_books.check_plan(staged, email, given, plan)

    problems: list[str] = []
    month: list[Step] = [(pass_a_month, None)]
    past_due: list[Step] = [(spoil, None), *month, (PAST_DUE, point), (pay_past_due, None)]
    steps, given, plan = _list_plan_steps(point, month, past_due)
    begun: list[Step] = [
        (START, point if point.act == START else None),
        (pay, None),
        (FOLLOW, point if point.act == FOLLOW else None),
    ]
    return Script([*begun, *steps], check, close)


def _list_plan_steps(
    point: Point, month: list[Step], past_due: list[Step]
) -> tuple[list[Step], list[int], str]:
    """Return the steps after the first payment, the credits of each paid month, the final plan."""
    from bench.purchases.acts import PLANS, PRO, TEAM
    from bench.purchases.plan_books import FREE

    pro, team = PLANS[PRO][0], PLANS[TEAM][0]
    changed: list[Step] = [(UPGRADE, point if point.act == UPGRADE else None)]
    ended: list[Step] = [(CANCEL, point if point.act == CANCEL else None), *month]
    return {
        START: ([], [pro], PRO),
        FOLLOW: ([], [pro], PRO),
        UPGRADE: (changed, [pro, team], TEAM),
        DOWNGRADE: ([*changed, (DOWNGRADE, point), *month, (TICK, None)], [pro, team, pro], PRO),
        RENEW: ([*month, (RENEW, point)], [pro, pro], PRO),
        CANCEL: ([*ended, (TICK, None)], [pro], FREE),
        END: ([*ended, (END, point)], [pro], FREE),
        PAST_DUE: ([*past_due, (TICK, None)], [pro, pro], PRO),
    }[point.act]


def _write_refill(staged: Stage, email: str, point: Point) -> Script:
    """Return the script of a refill: the card of a buyer without credits is charged once."""
    from bench.purchases import refill_books

    return Script(
        [(lambda: refill_books.make_refill(staged, email), None), (REFILL, point)],
        lambda: refill_books.check_refill(staged, email),
    )
