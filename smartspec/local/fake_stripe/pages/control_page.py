"""The page of the controls: what banks, buyers and Stripe do, by buttons."""

from typing import Any

from smartspec.local.fake_stripe.api import Answer
from smartspec.local.fake_stripe.memory import webhooks
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.pages.html import (
    Markup,
    answer_html,
    fill,
    format_price,
    join,
    show_notice,
)

Json = dict[str, Any]
SHOWN = 20
# What can be done to an object in this state: act, fields, label.
PAYMENT = {
    "succeeded": [
        ("refund", {}, "Refund in the dashboard"),
        ("dispute", {}, "Dispute"),
        ("dispute", {"status": "warning_needs_response"}, "Inquiry"),
        ("warn", {}, "Warn of fraud"),
    ],
    "processing": [
        ("settle", {"outcome": "succeeded"}, "The money comes"),
        ("settle", {"outcome": "failed"}, "The bank refuses"),
    ],
}
REFUND = {
    "succeeded": [("settle_refund", {"status": "failed"}, "Fail after all")],
    "pending": [
        ("settle_refund", {"status": "succeeded"}, "Succeed"),
        ("settle_refund", {"status": "failed"}, "Fail"),
    ],
    "requires_action": [
        ("settle_refund", {"status": "succeeded"}, "The buyer named an account"),
        ("settle_refund", {"status": "failed"}, "Fail"),
        ("settle_refund", {"status": "canceled"}, "Cancel"),
    ],
}
DISPUTE = [
    ("withdraw", {}, "Withdraw money"),
    ("reinstate", {}, "Reinstate money"),
    ("end_dispute", {"status": "won"}, "Won"),
    ("end_dispute", {"status": "lost"}, "Lost"),
    ("end_dispute", {"status": "prevented"}, "Prevented"),
    ("end_dispute", {"status": "warning_closed"}, "Inquiry closed"),
]
TIMES = {"An hour": 3600, "A day": 86400, "A week": 7 * 86400, "A month": 31 * 86400}
FAULTS = ("error_before", "error_after", "drop_before", "drop_after", "rate_limit", "none")


def show_controls(state: State, *, notice: str = "", error: str = "") -> Answer:
    """Show the clock, the faults, the webhooks and the newest payments, refunds and disputes."""
    with state.lock:
        parts = [
            _build_clock(state),
            _build_webhooks(state),
            _build_faults(state),
            _build_list(state, "Payments", "payment_intent", "payment", PAYMENT),
            _build_list(state, "Refunds", "refund", "refund", REFUND),
            _build_list(state, "Disputes", "dispute", "dispute", None),
        ]
    text = fill('<p class="notice good" role="status">$text</p>', text=notice)
    content = fill(
        "<h1>Controls of the fake Stripe</h1>$notice$parts",
        notice=show_notice(error) if error else text if notice else Markup(""),
        parts=join(parts),
    )
    return answer_html("Controls", content)


def build_button(act: str, label: str, **fields: object) -> Markup:
    inputs = [
        fill('<input type="hidden" name="$name" value="$value">', name=name, value=value)
        for name, value in fields.items()
    ]
    return fill(
        '<form method="post" action="/_fake/$act">$inputs'
        '<button class="small plain">$label</button></form>',
        act=act,
        inputs=join(inputs),
        label=label,
    )


def _wrap(title: str, content: Markup) -> Markup:
    return fill(
        '<h2>$title</h2><section class="card"><div class="row">$content</div></section>',
        title=title,
        content=content,
    )


def _build_clock(state: State) -> Markup:
    buttons = [build_button("advance", label, seconds=seconds) for label, seconds in TIMES.items()]
    ahead = fill("<span>$days days ahead.</span>", days=state.ahead // 86400)
    return _wrap("Move the clock forward", join([ahead, *buttons]))


def _build_webhooks(state: State) -> Markup:
    faults = state.webhook_faults
    waiting = len(webhooks.find_waiting(state))
    text = fill("<span>$count wait.</span>", count=waiting)
    hold = build_button("webhooks", "Send" if faults.hold else "Hold back", hold=not faults.hold)
    twice = "Send once" if faults.duplicates else "Send twice"
    order = "In order" if faults.reverse else "Reverse"
    buttons = [
        hold,
        build_button("webhooks", twice, duplicates=0 if faults.duplicates else 1),
        build_button("webhooks", "Lose the next", lose=faults.lose + 1),
        build_button("webhooks", order, reverse=not faults.reverse),
        build_button("deliver", "Deliver now"),
    ]
    return _wrap("Webhooks", join([text, *buttons]))


def _build_faults(state: State) -> Markup:
    count = sum(fault.times for fault in state.faults.waiting)
    text = fill("<span>$count wait. The next answer:</span>", count=count)
    return _wrap(
        "Faults of the API",
        join([text, *(build_button("faults", kind, kind=kind) for kind in FAULTS)]),
    )


def _build_list(state: State, title: str, kind: str, name: str, acts: Any) -> Markup:
    found = list(state.select(kind))[::-1][:SHOWN]
    rows = [_build_row(one, name, acts) for one in found]
    empty = Markup('<p class="soft">None so far.</p>')
    return fill(
        '<h2>$title</h2><section class="card">$rows</section>',
        title=title,
        rows=join(rows) or empty,
    )


def _build_row(entry: Entry, name: str, acts: Any) -> Markup:
    obj = entry.object
    chosen = DISPUTE if acts is None else acts.get(obj["status"], [])
    buttons = [build_button(act, label, **{name: entry.id}, **more) for act, more, label in chosen]
    return fill(
        '<div class="item"><b>$amount</b> · $status <span class="soft">$id</span>'
        '<div class="row">$buttons</div></div>',
        id=entry.id,
        status=obj["status"].replace("_", " "),
        amount=format_price(obj["amount"], obj["currency"]),
        buttons=join(buttons),
    )
