"""Automatic tax of invoices: added to prices that are exclusive of it, inside of the others.

Source: https://docs.stripe.com/api/invoices/object, version 2026-10-28.endive.
"""

from typing import Any

from smartspec.local.fake_stripe.memory.state import State
from smartspec.local.fake_stripe.wire.money import TAX_PERCENT

Json = dict[str, Any]


def add_tax(state: State, lines: list[Json]) -> int:
    """Write the tax into the lines; return what has to be paid besides their amounts."""
    added = 0
    for line in lines:
        price = state.find("price", _read_price(line))
        is_inside = price is not None and price.object["tax_behavior"] == "inclusive"
        whole = 100 + TAX_PERCENT if is_inside else 100
        tax = max(line["amount"], 0) * TAX_PERCENT // whole
        line["taxes"] = [
            _describe(line["amount"] - (tax if is_inside else 0), tax, is_inside=is_inside)
        ]
        added += 0 if is_inside else tax
    return added


def describe_tax(subtotal: int, tax: int, *, enabled: bool) -> Json:
    """Return what an invoice says about its tax."""
    if not enabled:
        return {"automatic_tax": {"enabled": False}}
    return {
        "automatic_tax": {"enabled": True, "liability": {"type": "self"}, "status": "complete"},
        "total_taxes": [_describe(subtotal, tax, is_inside=False)],
    }


def _describe(taxable: int, tax: int, *, is_inside: bool) -> Json:
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if is_inside else "exclusive",
        "tax_rate_details": None,
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _read_price(line: Json) -> str:
    pricing = line["pricing"] or {}
    return str((pricing.get("price_details") or {}).get("price", ""))
