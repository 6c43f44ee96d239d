"""Pages of banks: the check of 3-D Secure, and the QR code of PromptPay."""

import hashlib
from typing import Any

from smartspec.local.fake_stripe.api import Answer
from smartspec.local.fake_stripe.billing import collection, cycles
from smartspec.local.fake_stripe.checkout import buying
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import payment_methods
from smartspec.local.fake_stripe.pages import checkout_page
from smartspec.local.fake_stripe.pages.html import (
    Markup,
    answer_html,
    fill,
    format_price,
    redirect,
    show_message,
)
from smartspec.local.fake_stripe.payments import tries

Json = dict[str, Any]
SIZE = 21  # Modules of the picture that looks like a QR code.
CHALLENGE = """
<section class="card narrow">
<h1>Is it you?</h1>
<p>The bank of your card wants to be sure that you pay $amount. This is the check that a bank shows
(3-D Secure).</p>
<form method="post">
<button name="result" value="passed">Yes, it is me</button>
<button class="plain" name="result" value="failed">No, stop</button>
</form>
</section>
"""
SCAN = """
<section class="card narrow">
<h1>Scan to pay $amount</h1>
$picture
<p class="soft">The picture is no real code. Choose what the bank does.</p>
<form method="post">
<button name="outcome" value="succeeded">Scanned: the money is there</button>
<button class="plain" name="outcome" value="processing">Scanned: the bank takes its time</button>
</form>
<p><a href="/c/pay/$session">← Pay in another way</a></p>
</section>
"""


def show_challenge(intent: Entry) -> Answer:
    obj = intent.object
    if obj["status"] != "requires_action":
        content = show_message("There is nothing to check", "This payment goes on elsewhere.")
        return answer_html("Check", content)
    amount = format_price(obj["amount"], obj["currency"])
    return answer_html("Check of your bank", fill(CHALLENGE, amount=amount))


def end_challenge(state: State, intent: Entry, given: Json) -> Answer:
    """Take the buyer's word, and lead back to where the payment began."""
    if intent.object["status"] != "requires_action":
        return show_challenge(intent)
    passed = given.get("result") == "passed"
    if invoice := state.find("invoice", intent.hidden.get("invoice")):
        _end_for_invoice(state, invoice, intent, passed=passed)
        return redirect(f"/i/{invoice.id}")
    session = state.get("checkout.session", intent.hidden.get("session"))
    result = buying.end_challenge(state, session, passed=passed)
    if result.refusal:
        return checkout_page.show_session(state, session, error=result.refusal.message)
    return redirect(checkout_page.fill_return(session.object))


def _end_for_invoice(state: State, invoice: Entry, intent: Entry, *, passed: bool) -> None:
    method = state.get("payment_method", intent.object["payment_method"])
    if not passed:
        tries.fail(state, intent, method, tries.NOT_AUTHENTICATED)
        return
    result = tries.pay(state, intent, method, authenticated=True)
    if result.status == "succeeded":
        collection.settle(state, invoice, intent)
        cycles.follow_payment(state, invoice)


def show_code(session: Entry) -> Answer:
    """Show the QR code of PromptPay."""
    obj = session.object
    if obj["status"] != "open" or "promptpay" not in obj["payment_method_types"]:
        return redirect(f"/c/pay/{session.id}")
    content = fill(
        SCAN,
        amount=format_price(obj["amount_total"], obj["currency"]),
        picture=draw_code(session.id),
        session=session.id,
    )
    return answer_html("PromptPay", content)


def draw_code(text: str) -> Markup:
    """Draw a picture that looks like a QR code and is none."""
    bits = int.from_bytes(hashlib.shake_256(text.encode()).digest(SIZE * SIZE // 8 + 1), "big")
    dots = "".join(
        f"M{number % SIZE} {number // SIZE}h1v1h-1z"
        for number in range(SIZE * SIZE)
        if bits >> number & 1
    )
    return fill(
        '<svg class="code" viewBox="-1 -1 23 23" role="img" aria-label="A code to scan">'
        '<path d="$dots" fill="#000"/></svg>',
        dots=dots,
    )


def scan(state: State, session: Entry, given: Json) -> Answer:
    """The buyer has scanned the code."""
    if session.object["status"] != "open":
        return checkout_page.show_session(state, session)
    customer = state.find("customer", session.object["customer"])
    method = payment_methods.make_method(
        state,
        type="promptpay",
        livemode=bool(session.livemode),
        billing_details={"email": customer.object.get("email") if customer else None},
    )
    buying.pay_by_promptpay(state, session, method, now=given.get("outcome") == "succeeded")
    return redirect(checkout_page.fill_return(session.object))
