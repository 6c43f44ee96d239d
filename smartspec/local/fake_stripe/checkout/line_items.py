"""The lines of a checkout session."""

import copy
from typing import Any

import stripe

from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.objects.products import make_price
from smartspec.local.fake_stripe.wire.money import TAX_PERCENT
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]


def make_items(call: Call, given: Json) -> list[Json]:
    """Return the lines. All have one currency, and in subscription mode one at least recurs.

    In setup mode there are none.
    """
    items = [
        _make_item(call, line, f"line_items[{number}]")
        for number, line in enumerate(given.get("line_items") or [])
    ]
    if len({item["currency"] for item in items}) > 1:
        raise InvalidRequest("All line items must have the same currency.", param="line_items")
    recurring = [item["price"]["type"] == "recurring" for item in items]
    if given["mode"] == "payment" and any(recurring):
        raise InvalidRequest(
            "You specified `payment` mode but passed a recurring price. Either switch to"
            " `subscription` mode or use only one-time prices.",
            param="mode",
        )
    if given["mode"] == "subscription" and not any(recurring):
        raise InvalidRequest(
            "You must provide at least one recurring price in `subscription` mode.",
            param="mode",
        )
    return items


def _make_item(call: Call, line: Json, path: str) -> Json:
    if "price_data" in line:
        price = make_price(call, line["price_data"], path=f"{path}[price_data]", active=False)
    elif "price" in line:
        price = call.get("price", line["price"], param=f"{path}[price]")
    else:
        raise InvalidRequest(
            f"You must provide one of `price` or `price_data` for {path}.",
            param=path,
            code="parameter_missing",
        )
    quantity = line.get("quantity", 1)
    if quantity < 1:
        raise InvalidRequest("Quantity must be positive.", param=f"{path}[quantity]")
    amount = price.object["unit_amount"] * quantity
    product = call.state.get("product", price.object["product"])
    return complete(
        stripe.LineItem,
        {
            "id": call.state.make_id("li"),
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": price.object["currency"],
            "description": product.object["name"],
            "metadata": {},
            "price": copy.deepcopy(price.object),
            "quantity": quantity,
        },
    )


def add_tax(items: list[Json]) -> int:
    """Add automatic tax to lines whose price is exclusive of it; return the tax of all."""
    for item in items:
        if item["price"]["tax_behavior"] == "inclusive":
            item["amount_tax"] = item["amount_subtotal"] * TAX_PERCENT // (100 + TAX_PERCENT)
        else:
            item["amount_tax"] = item["amount_subtotal"] * TAX_PERCENT // 100
            item["amount_total"] = item["amount_subtotal"] + item["amount_tax"]
    return sum(item["amount_tax"] for item in items)
