"""Pages of a customer: a hosted invoice, a receipt, and the billing portal."""

from datetime import UTC, datetime
from typing import Any

from smartspec.local.fake_stripe.api import Answer
from smartspec.local.fake_stripe.billing import (
    changes,
    collection,
    cycles,
    portal,
    subscriptions,
)
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import cards, events, payment_methods
from smartspec.local.fake_stripe.pages.html import (
    Markup,
    answer_html,
    fill,
    format_price,
    join,
    redirect,
    show_message,
    show_notice,
)

Json = dict[str, Any]
CARD = """
<form method="post">
<label>Card number <input name="number" inputmode="numeric" autocomplete="off"
 value="4242 4242 4242 4242"></label>
<button name="do" value="$do">$label</button>
</form>
"""


def show_invoice(invoice: Entry, *, error: str = "") -> Answer:
    """Show an invoice; one that is open can be paid."""
    obj = invoice.object
    total = format_price(obj["amount_due"], obj["currency"])
    lines = [
        fill(
            "<dt>$name</dt><dd>$amount</dd>",
            name=line["description"],
            amount=format_price(line["amount"], line["currency"]),
        )
        for line in obj["lines"]["data"]
    ]
    pays = fill(CARD, do="pay", label=f"Pay {total}") if obj["status"] == "open" else Markup("")
    content = fill(
        '<section class="card narrow"><h1>Invoice $number</h1><p class="total">$total</p>'
        '<p class="soft">$status</p>$error<dl>$lines</dl>$pays</section>',
        number=obj["number"],
        total=total,
        status=obj["status"].capitalize(),
        error=show_notice(error) if error else Markup(""),
        lines=join(lines),
        pays=pays,
    )
    return answer_html("Invoice", content)


def pay_invoice(state: State, invoice: Entry, given: Json) -> Answer:
    if invoice.object["status"] != "open":
        return show_invoice(invoice)
    method = _read_card(state, invoice, given)
    if method is None:
        return show_invoice(invoice, error="Your card number is incorrect.")
    result = collection.attempt(state, invoice, method, here=True)
    if result.refusal:
        return show_invoice(invoice, error=result.refusal.message)
    if result.status == "requires_action":
        return redirect(f"/3d_secure/{invoice.hidden['intent']}")
    cycles.follow_payment(state, invoice)
    return redirect(f"/i/{invoice.id}")


def _read_card(state: State, owner: Entry, given: Json) -> Entry | None:
    name = cards.find_number(given.get("number", ""))
    if name is None:
        return None
    return payment_methods.make_method(state, type="card", card=name, livemode=bool(owner.livemode))


def show_receipt(charge: Entry) -> Answer:
    obj = charge.object
    amount = format_price(obj["amount"], obj["currency"])
    return answer_html("Receipt", show_message(f"Receipt for {amount}", f"Charge {charge.id}"))


def show_portal(state: State, session: Entry, *, error: str = "") -> Answer:
    """Show what the configuration lets the customer see and change."""
    obj = session.object
    features = state.get(portal.KIND, obj["configuration"]).object["features"]
    parts = [_build_subscription(state, one, features) for one in _list_living(state, obj)]
    if features["payment_method_update"]["enabled"]:
        parts.append(_build_cards(state, obj["customer"]))
    if features["invoice_history"]["enabled"]:
        parts.append(_build_invoices(state, obj["customer"]))
    back = fill('<p><a href="$url">← Back to the shop</a></p>', url=obj["return_url"])
    content = fill(
        '<div class="narrow">$back<h1>Your plan and payments</h1>$notice$parts</div>',
        back=back if obj["return_url"] else Markup(""),
        notice=show_notice(error) if error else Markup(""),
        parts=join(parts),
    )
    return answer_html("Billing", content)


def _list_living(state: State, session: Json) -> list[Entry]:
    found = state.select("subscription", customer=session["customer"])
    return [one for one in found if one.object["status"] in subscriptions.LIVING]


def _build_subscription(state: State, subscription: Entry, features: Json) -> Markup:
    obj, item = subscription.object, subscriptions.list_items(subscription)[0]
    ends = obj["cancel_at_period_end"]
    button = Markup("")
    if features["subscription_cancel"]["enabled"]:
        button = fill(
            '<form method="post"><input type="hidden" name="subscription" value="$id">'
            '<button class="plain" name="do" value="$do">$label</button></form>',
            id=subscription.id,
            do="keep" if ends else "cancel",
            label="Keep the plan after all" if ends else "Cancel the plan",
        )
    return fill(
        '<section class="card"><h2>$name</h2><p>$price every $interval · $status</p>'
        '<p class="soft">$next $date</p>$button</section>',
        name=state.get("product", item["price"]["product"]).object["name"],
        price=format_price(item["price"]["unit_amount"], item["price"]["currency"]),
        interval=item["price"]["recurring"]["interval"],
        status=obj["status"].replace("_", " "),
        next="Ends on" if ends else "Renews on",
        date=_format_date(item["current_period_end"]),
        button=button,
    )


def _format_date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y")


def _build_cards(state: State, customer: str) -> Markup:
    methods = [
        fill("<p>$brand •••• $last4</p>", **_name_card(one))
        for one in state.select("payment_method", customer=customer, type="card")
    ]
    return fill(
        '<section class="card"><h2>Card</h2>$methods$form</section>',
        methods=join(methods),
        form=fill(CARD, do="card", label="Use this card"),
    )


def _name_card(method: Entry) -> Json:
    card = method.object["card"]
    return {"brand": card["brand"].title(), "last4": card["last4"]}


def _build_invoices(state: State, customer: str) -> Markup:
    rows = [
        fill(
            '<tr><td><a href="/i/$id">$number</a></td><td>$amount</td><td>$status</td></tr>',
            id=one.id,
            number=one.object["number"] or "Draft",
            amount=format_price(one.object["amount_due"], one.object["currency"]),
            status=one.object["status"],
        )
        for one in state.select("invoice", customer=customer)
    ]
    return fill(
        '<section class="card"><h2>Invoices</h2><table>$rows</table></section>',
        rows=join(rows[::-1]),
    )


def change_portal(state: State, session: Entry, given: Json) -> Answer:
    """Cancel or keep a plan, or use another card for it."""
    obj, act = session.object, given.get("do")
    if act == "card":
        return _change_card(state, session, given)
    named = given.get("subscription")
    for subscription in _list_living(state, obj):
        if subscription.id == named and act in ("cancel", "keep"):
            call = Call(state, {}, livemode=bool(session.livemode))
            changes.plan_end(call, subscription, at_end=act == "cancel")
            events.emit(
                state,
                "customer.subscription.updated",
                subscription,
                previous={"cancel_at_period_end": act != "cancel"},
            )
    return redirect(f"/p/session/{session.id}")


def _change_card(state: State, session: Entry, given: Json) -> Answer:
    method = _read_card(state, session, given)
    if method is None:
        return show_portal(state, session, error="Your card number is incorrect.")
    owner = session.object["customer"]
    payment_methods.attach(state, method, owner)
    customer = state.get("customer", owner)
    customer.object["invoice_settings"]["default_payment_method"] = method.id
    events.emit(state, "customer.updated", customer, previous={})
    for subscription in _list_living(state, session.object):
        events.change(
            state,
            subscription,
            "customer.subscription.updated",
            default_payment_method=method.id,
        )
    return redirect(f"/p/session/{session.id}")
