"""Products and their prices, also those that are written inline (`price_data`)."""

from decimal import Decimal
from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry
from smartspec.local.fake_stripe.objects import events
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest, RefusedAct
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]


def create_product(call: Call) -> Entry:
    given = call.params
    product = make_product(call, given)
    events.emit(call.state, "product.created", product)
    if price := given.get("default_price_data"):
        made = make_price(call, {**price, "product": product.id})
        product.object["default_price"] = made.id
    return product


def make_product(call: Call, given: Json, *, active: bool = True) -> Entry:
    object_id = given.get("id") or call.state.make_id("prod", 14)
    if call.state.find("product", object_id):
        raise RefusedAct(f"Product already exists: {object_id}", code="resource_already_exists")
    return call.state.add(
        complete(
            stripe.Product,
            {
                "id": object_id,
                "active": given.get("active", active),
                "created": call.state.now(),
                "description": given.get("description") or None,
                "images": given.get("images") or [],
                "livemode": call.livemode,
                "metadata": merge_metadata({}, given.get("metadata")),
                "name": given["name"],
                "tax_code": given.get("tax_code"),
                "type": "service",
                "unit_label": given.get("unit_label"),
                "updated": call.state.now(),
                "url": given.get("url"),
            },
        )
    )


def retrieve_product(call: Call) -> Entry:
    return call.get_named("product")


def update_product(call: Call) -> Entry:
    product, given = call.get_named("product"), call.params
    names = ("active", "default_price", "description", "images", "name", "unit_label", "url")
    values = {name: given[name] for name in names if name in given}
    values["metadata"] = merge_metadata(product.object["metadata"], given.get("metadata"))
    values["updated"] = call.state.now()
    events.change(call.state, product, "product.updated", **values)
    return product


def delete_product(call: Call) -> Json:
    product = call.get_named("product")
    if any(call.state.select("price", product=product.id)):
        raise RefusedAct(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    events.emit(call.state, "product.deleted", product)
    call.state.remove(product)
    return {"id": product.id, "object": "product", "deleted": True}


def list_products(call: Call) -> Json:
    return answers.list_objects(call, "product", "/v1/products", filters=("active",))


def create_price(call: Call) -> Entry:
    price = make_price(call, call.params)
    events.emit(call.state, "price.created", price)
    return price


def make_price(call: Call, given: Json, *, path: str = "", active: bool = True) -> Entry:
    """Make a price; `product_data` makes its product too. Raises InvalidRequest."""
    product = _find_product(call, given, path)
    recurring = given.get("recurring")
    amount = _read_amount(given, path)
    return call.state.add(
        complete(
            stripe.Price,
            {
                "id": call.state.make_id("price"),
                "active": given.get("active", active),
                "billing_scheme": "per_unit",
                "created": call.state.now(),
                "currency": given["currency"].lower(),
                "livemode": call.livemode,
                "lookup_key": given.get("lookup_key"),
                "metadata": merge_metadata({}, given.get("metadata")),
                "nickname": given.get("nickname"),
                "product": product.id,
                "recurring": recurring and _describe_recurring(recurring),
                "tax_behavior": given.get("tax_behavior") or "unspecified",
                "type": "recurring" if recurring else "one_time",
                "unit_amount": amount,
                "unit_amount_decimal": str(amount),
            },
        )
    )


def _find_product(call: Call, given: Json, path: str) -> Entry:
    if product := given.get("product"):
        return call.get("product", product, param=f"{path}[product]" if path else "product")
    if data := given.get("product_data"):
        return make_product(call, data, active=False)
    raise InvalidRequest(
        "You must specify either `product` or `product_data` when creating a price.",
        param=path or "product",
        code="parameter_missing",
    )


def _read_amount(given: Json, path: str) -> int:
    amount = given.get("unit_amount", given.get("unit_amount_decimal"))
    if amount is None:
        raise InvalidRequest(
            "Price requires one of: unit_amount, unit_amount_decimal.",
            param=path or "unit_amount",
            code="parameter_missing",
        )
    if Decimal(amount) < 0:
        raise InvalidRequest("Invalid non-negative integer", param=path or "unit_amount")
    return int(amount)


def _describe_recurring(given: Json) -> Json:
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "usage_type": given.get("usage_type", "licensed"),
    }


def retrieve_price(call: Call) -> Entry:
    return call.get_named("price")


def update_price(call: Call) -> Entry:
    """Change what may change of a price: never its amount."""
    price, given = call.get_named("price"), call.params
    names = ("active", "lookup_key", "nickname", "tax_behavior")
    values = {name: given[name] for name in names if name in given}
    values["metadata"] = merge_metadata(price.object["metadata"], given.get("metadata"))
    events.change(call.state, price, "price.updated", **values)
    return price


def list_prices(call: Call) -> Json:
    return answers.list_objects(
        call, "price", "/v1/prices", filters=("active", "currency", "product", "type")
    )
