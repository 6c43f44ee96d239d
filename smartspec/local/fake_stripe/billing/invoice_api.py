"""The API of invoices, of their items, and of the payments that pay them."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.billing import invoices
from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.objects import customers, events
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "invoice"


def create_invoice(call: Call) -> Entry:
    """Write a draft of what is pending for a customer, apart from any subscription."""
    given, state = call.params, call.state
    customer = customers.get_living(call, given.get("customer", ""), param="customer")
    pending = []
    if given.get("pending_invoice_items_behavior", "exclude") == "include":
        pending = list(state.select("invoiceitem", customer=customer.id, invoice=None))
    invoice = invoices.make_invoice(
        state,
        customer,
        [_make_line(state, item) for item in pending],
        reason="manual",
        auto_advance=given.get("auto_advance", False),
        description=given.get("description"),
        metadata=merge_metadata({}, given.get("metadata")),
    )
    for item in pending:
        item.object["invoice"] = invoice.id
    return invoice


def _make_line(state: State, item: Entry) -> Json:
    obj = item.object
    details = {"invoice_item": item.id, "proration": False}
    return invoices.make_line(
        state,
        amount=obj["amount"],
        currency=obj["currency"],
        description=obj["description"] or "",
        period=(obj["period"]["start"], obj["period"]["end"]),
        livemode=obj["livemode"],
        parent={"type": "invoice_item_details", "invoice_item_details": details},
    )


def create_item(call: Call) -> Entry:
    """Write down what the customer's next invoice shall have."""
    given, state = call.params, call.state
    customer = customers.get_living(call, given.get("customer", ""), param="customer")
    if "amount" not in given or "currency" not in given:
        raise InvalidRequest("The fake knows items with amount and currency.", param="amount")
    item = state.add(
        complete(
            stripe.InvoiceItem,
            {
                "id": state.make_id("ii"),
                "amount": given["amount"],
                "currency": given["currency"].lower(),
                "customer": customer.id,
                "date": state.now(),
                "description": given.get("description"),
                "discountable": True,
                "discounts": [],
                "livemode": call.livemode,
                "metadata": merge_metadata({}, given.get("metadata")),
                "period": {"start": state.now(), "end": state.now()},
                "proration": False,
                "quantity": 1,
                "quantity_decimal": "1",
                "tax_rates": [],
            },
        )
    )
    events.emit(state, "invoiceitem.created", item)
    return item


def retrieve_invoice(call: Call) -> Entry:
    return call.get_named(KIND)


def update_invoice(call: Call) -> Entry:
    invoice, given = call.get_named(KIND), call.params
    values: Json = {name: given[name] for name in ("auto_advance", "description") if name in given}
    values["metadata"] = merge_metadata(invoice.object["metadata"], given.get("metadata"))
    events.change(call.state, invoice, "invoice.updated", **values)
    return invoice


def finalize_invoice(call: Call) -> Entry:
    invoice = call.get_named(KIND)
    if invoice.object["status"] != "draft":
        raise RefusedAct("This invoice is already finalized.", code="invoice_not_editable")
    invoices.finalize(call.state, invoice)
    return invoice


def void_invoice(call: Call) -> Entry:
    invoice = call.get_named(KIND)
    if invoice.object["status"] not in ("open", "uncollectible"):
        raise RefusedAct(
            f"You can only pass in open or uncollectible invoices. This invoice is"
            f" {invoice.object['status']}."
        )
    invoices.void(call.state, invoice)
    return invoice


def list_invoices(call: Call) -> Json:
    wanted = call.params.get("subscription")

    def fits(invoice: Entry) -> bool:
        parent = invoice.object["parent"] or {}
        details = parent.get("subscription_details") or {}
        return wanted is None or details.get("subscription") == wanted

    filters = ("collection_method", "customer", "status")
    return answers.list_objects(call, KIND, "/v1/invoices", filters=filters, keep=fits)


def list_lines(call: Call) -> Json:
    invoice = call.get_named(KIND)
    lines = invoice.object["lines"]
    return answers.take_page(call, "line_item", lines["data"], lines["url"])


def retrieve_payment(call: Call) -> Entry:
    return call.get_named("invoice_payment")


def list_payments(call: Call) -> Json:
    """List what pays an invoice, or which invoice an intent pays."""
    asked = call.params.get("payment") or {}
    type, intent = asked.get("type"), asked.get("payment_intent")

    def fits(payment: Entry) -> bool:
        paid_by = payment.object["payment"]
        return (type is None or paid_by["type"] == type) and (
            intent is None or paid_by.get("payment_intent") == intent
        )

    return answers.list_objects(
        call, "invoice_payment", "/v1/invoice_payments", filters=("invoice", "status"), keep=fits
    )


def _include_payments(state: State, invoice: Json) -> Json:
    payments = state.select("invoice_payment", invoice=invoice["id"])
    return answers.list_inside(payments, f"/v1/invoice_payments?invoice={invoice['id']}")


answers.INCLUDABLE[KIND, "payments"] = _include_payments
