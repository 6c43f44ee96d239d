"""Invoices: their lines, and their way from draft to open to paid."""

import copy
from typing import Any

import stripe

from smartspec.local.fake_stripe.billing import taxes
from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.state import Entry, State, make_token
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "invoice"


def make_invoice(
    state: State,
    customer: Entry,
    lines: list[Json],
    *,
    reason: str,
    subscription: Entry | None = None,
    **values: Any,
) -> Entry:
    """Write a draft. Its total is the sum of the lines, and never below zero.

    The tax is added if the subscription has automatic tax.
    """
    object_id = state.make_id("in")
    subtotal = max(sum(line["amount"] for line in lines), 0)
    has_tax = bool(subscription and subscription.object["automatic_tax"]["enabled"])
    tax = taxes.add_tax(state, lines) if has_tax else 0
    for line in lines:
        line["invoice"] = object_id
    url = f"/v1/invoices/{object_id}/lines"
    invoice = state.add(
        complete(
            stripe.Invoice,
            {
                **_describe_amounts(subtotal, subtotal + tax),
                **taxes.describe_tax(subtotal, tax, enabled=has_tax),
                **_describe_buyer(customer),
                "id": object_id,
                "account_country": "TH",
                "account_name": "Fake Stripe",
                "attempt_count": 0,
                "attempted": False,
                "auto_advance": True,
                "billing_reason": reason,
                "collection_method": "charge_automatically",
                "created": state.now(),
                "currency": lines[0]["currency"] if lines else "usd",
                "issuer": {"type": "self"},
                "lines": answers.make_list(lines, url),
                "livemode": customer.livemode,
                "metadata": {},
                "parent": _describe_parent(subscription),
                "payment_settings": {},
                "period_end": state.now(),
                "period_start": state.now(),
                "status": "draft",
                "status_transitions": {},
                **values,
            },
        )
    )
    events.emit(state, "invoice.created", invoice)
    return invoice


def _describe_amounts(subtotal: int, total: int) -> Json:
    names = ("amount_due", "amount_remaining", "total")
    others = ("subtotal", "subtotal_excluding_tax", "total_excluding_tax")
    nothing = (
        "amount_overpaid",
        "amount_paid",
        "amount_shipping",
        "post_payment_credit_notes_amount",
        "pre_payment_credit_notes_amount",
        "starting_balance",
    )
    amounts = {**dict.fromkeys(names, total), **dict.fromkeys(others, subtotal)}
    return {**amounts, **dict.fromkeys(nothing, 0)}


def _describe_buyer(customer: Entry) -> Json:
    return {
        "customer": customer.id,
        "customer_email": customer.object.get("email"),
        "customer_name": customer.object.get("name"),
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
    }


def _describe_parent(subscription: Entry | None) -> Json | None:
    if subscription is None:
        return None
    details = {
        "metadata": copy.deepcopy(subscription.object["metadata"]),
        "subscription": subscription.id,
    }
    return {"type": "subscription_details", "subscription_details": details}


def make_line(
    state: State,
    *,
    amount: int,
    currency: str,
    description: str,
    period: tuple[int, int],
    livemode: bool,
    parent: Json | None = None,
    price: Json | None = None,
    quantity: int = 1,
) -> Json:
    pricing = price and {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
    return complete(
        stripe.InvoiceLineItem,
        {
            "id": f"il_{make_token(24)}",
            "amount": amount,
            "currency": currency,
            "description": description,
            "discountable": True,
            "livemode": livemode,
            "parent": parent,
            "period": {"start": period[0], "end": period[1]},
            "pricing": pricing,
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "subscription": _find_subscription(parent),
            "subtotal": amount,
            "taxes": [],
        },
    )


def _find_subscription(parent: Json | None) -> str | None:
    details = parent and parent[parent["type"]]
    return details.get("subscription") if details else None


def finalize(state: State, invoice: Entry) -> None:
    """Give a draft its number and its page; it has to be paid now. Raises RefusedAct."""
    obj = invoice.object
    customer = state.get("customer", obj["customer"]).object
    if customer.get("deleted"):
        raise RefusedAct(f"The customer of this invoice was deleted: {obj['customer']}.")
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    customer["next_invoice_sequence"] += 1
    page = f"{state.origin}/i/{invoice.id}"
    obj.update(
        status="open",
        number=number,
        effective_at=state.now(),
        hosted_invoice_url=page,
        invoice_pdf=f"{page}/pdf",
        automatically_finalizes_at=None,
    )
    obj["status_transitions"]["finalized_at"] = state.now()
    events.emit(state, "invoice.finalized", invoice)


def mark_paid(state: State, invoice: Entry) -> None:
    """Write that nothing is owed any more."""
    obj = invoice.object
    obj.update(
        status="paid",
        amount_paid=obj["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
    )
    obj["status_transitions"]["paid_at"] = state.now()
    events.emit(state, "invoice.paid", invoice)
    events.emit(state, "invoice.payment_succeeded", invoice)


def void(state: State, invoice: Entry) -> None:
    invoice.object.update(status="void", auto_advance=False, next_payment_attempt=None)
    invoice.object["status_transitions"]["voided_at"] = state.now()
    events.emit(state, "invoice.voided", invoice)
