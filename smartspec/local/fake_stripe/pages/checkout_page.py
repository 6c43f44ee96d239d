"""The page of a checkout session: what is bought, and how it is paid."""

from typing import Any

from smartspec.local.fake_stripe.api import Answer
from smartspec.local.fake_stripe.checkout import buying
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import cards, payment_methods
from smartspec.local.fake_stripe.pages.html import (
    Markup,
    answer_html,
    fill,
    format_price,
    join,
    name_host,
    redirect,
    show_message,
    show_notice,
)

Json = dict[str, Any]
# The test cards that the page offers, with what they do.
OFFERED = {
    "visa": "is accepted",
    "authenticationRequired": "asks for 3-D Secure",
    "chargeDeclined": "is declined",
    "chargeDeclinedInsufficientFunds": "has too little money",
    "chargeCustomerFail": "can be saved, and is declined later",
    "createDispute": "is accepted, and disputed",
    "createDisputeInquiry": "is accepted, and its bank asks",
    "createIssuerFraudRecord": "is accepted, and its bank warns of fraud",
    "pendingRefund": "is accepted; a refund takes its time",
    "refundFail": "is accepted; a refund fails afterwards",
}
FORM = """
<form method="post">
<h2>Pay by card</h2>
$email
<label>Card number
<input name="number" inputmode="numeric" autocomplete="off" list="cards" required
 value="4242 4242 4242 4242"></label>
<datalist id="cards">$options</datalist>
<div class="pair">
<label>Expires <input name="expiry" value="12 / 34" autocomplete="off"></label>
<label>CVC <input name="cvc" value="123" inputmode="numeric" autocomplete="off"></label>
</div>
<label>Name on the card <input name="name" value="" autocomplete="off"></label>
<button name="method" value="card">$verb $total</button>
<details><summary>Test cards</summary>
<table>$rows</table></details>
</form>
"""
VERBS = {"payment": "Pay", "setup": "Save", "subscription": "Subscribe for"}
PROMPTPAY = """
<form method="get" action="/c/pay/$session/promptpay">
<h2>Pay by PromptPay</h2>
<p class="soft">Scan a QR code with the app of a Thai bank.</p>
<button class="plain">Show the QR code</button>
</form>
"""


def show_session(state: State, session: Entry, *, error: str = "") -> Answer:
    """Show an open session; of another one, how it ended and the way back."""
    obj = session.object
    if obj["status"] == "complete":
        text = "Nothing more is to be done here."
        content = show_message("This payment is done", text, fill_return(obj), "Back to the shop")
        return answer_html("Done", content)
    if obj["status"] == "expired":
        text = "It was not paid in time, or it was cancelled. Nothing was charged."
        content = show_message("This page has expired", text, obj["cancel_url"], "Back")
        return answer_html("Expired", content)
    return answer_html("Pay", _build_page(state, session, error), status=402 if error else 200)


def _build_page(state: State, session: Entry, error: str) -> Markup:
    obj = session.object
    forms = [_build_form(state, obj)] if "card" in obj["payment_method_types"] else []
    if "promptpay" in obj["payment_method_types"]:
        forms.append(fill(PROMPTPAY, session=session.id))
    return fill(
        '<div class="columns"><section class="card">$summary</section>'
        '<section class="card">$error$forms</section></div>',
        summary=_build_summary(session),
        error=show_notice(error) if error else Markup(""),
        forms=join(forms),
    )


def _build_summary(session: Entry) -> Markup:
    obj = session.object
    lines = [
        fill(
            "<dt>$name</dt><dd>$amount</dd>",
            name=f"{item['description']} × {item['quantity']}",
            amount=format_price(item["amount_subtotal"], item["currency"]),
        )
        for item in session.hidden["items"]
    ]
    recurring = [item["price"]["recurring"] for item in session.hidden["items"]]
    every = next((one["interval"] for one in recurring if one), None)
    return fill(
        "<h1>$host</h1><p class=total>$total$every</p><dl>$lines</dl>$note$leave",
        host=name_host(obj["success_url"]),
        total=_show_total(obj),
        every=f" every {every}" if every else "",
        lines=join(lines),
        note=_build_note(obj),
        leave=_build_leave(obj),
    )


def _show_total(session: Json) -> str:
    if session["mode"] == "setup":
        return "this card"
    return format_price(session["amount_total"], session["currency"])


def _build_note(session: Json) -> Markup:
    if not session["automatic_tax"]["enabled"]:
        return Markup("")
    return Markup('<p class="soft">Tax is added for your address.</p>')


def _build_leave(session: Json) -> Markup:
    if not session["cancel_url"]:
        return Markup("")
    return fill('<p><a href="$url">← Leave without paying</a></p>', url=session["cancel_url"])


def _build_form(state: State, session: Json) -> Markup:
    customer = state.find("customer", session["customer"])
    known = (customer.object.get("email") if customer else None) or session["customer_email"]
    field = '<label>Email <input type="email" name="email" value="$known" $lock></label>'
    return fill(
        FORM,
        email=fill(field, known=known, lock=Markup("readonly" if known else "required")),
        options=join([fill('<option value="$n">', n=_space(name)) for name in OFFERED]),
        verb=VERBS[session["mode"]],
        total=_show_total(session),
        rows=join([_build_row(name, does) for name, does in OFFERED.items()]),
    )


def _build_row(name: str, does: str) -> Markup:
    return fill(
        '<tr><td><button class="small plain" name="card" value="$name">$number</button></td>'
        "<td>$does</td></tr>",
        name=name,
        number=_space(name),
        does=does,
    )


def _space(name: str) -> str:
    number = cards.CARDS[name].number
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def pay(state: State, session: Entry, given: Json) -> Answer:
    """Pay by the card of the form, and lead on: to the shop, to the bank, or to another try."""
    if session.object["status"] != "open":
        return show_session(state, session)
    name = given.get("card") or cards.find_number(given.get("number", ""))
    if name not in cards.CARDS:
        text = "Your card number is incorrect. Here only Stripe's test cards work."
        return show_session(state, session, error=text)
    method = payment_methods.make_method(
        state,
        type="card",
        card=name,
        livemode=bool(session.livemode),
        billing_details={"email": given.get("email"), "name": given.get("name")},
    )
    result = buying.pay_session(state, session, method)
    if result.refusal:
        return show_session(state, session, error=result.refusal.message)
    if result.status == "requires_action":
        return redirect(f"/3d_secure/{session.hidden['intent']}")
    return redirect(fill_return(session.object))


def fill_return(session: Json) -> str:
    """Return the address of the shop to which the buyer goes after paying."""
    url: str = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"])
