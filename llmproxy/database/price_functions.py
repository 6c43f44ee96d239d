"""Generates the database functions for the table of price kinds.

They are generated from PRICE_KINDS, so that a kind is listed in one place. Each function is a
single expression, which PostgreSQL inlines into the calling statement: the audit computes the cost
of every completion.
"""

from collections.abc import Iterator

from llmproxy.metering.pricing import PRICE_KINDS, TOKEN_COUNTS, PriceKind

MODEL = "m language_models, p_default numeric"


def write_functions() -> str:
    """Return the SQL that creates all functions."""
    roots = [kind for kind in PRICE_KINDS if not kind.part_of]
    functions = [_write_prices(), *map(_write_dearest, roots), _write_cost(), _write_no_tokens()]
    return "\n".join(functions)


def _write_prices() -> str:
    """`gateway_prices`: the price of each kind for a model, as a JSON object of decimal texts."""
    members = ", ".join(f"'{kind.name}', {_write_price(kind)}::text" for kind in PRICE_KINDS)
    return _write_function("gateway_prices", MODEL, "jsonb", f"jsonb_build_object({members})")


def _write_dearest(root: PriceKind) -> str:
    """`gateway_dearest_prompt`, `…_completion`: the highest price of a token; NULL without one."""
    prices = ", ".join(_write_price(kind) for kind in (root, *_list_parts(root)))
    dearest = f"CASE WHEN {_write_price(root)} IS NOT NULL THEN GREATEST({prices}) END"
    return _write_function(f"gateway_dearest_{root.name}", MODEL, "numeric", dearest)


def _write_no_tokens() -> str:
    """`gateway_no_tokens`: an object in which every count is 0."""
    members = ", ".join(f"'{name}', 0" for name in TOKEN_COUNTS)
    return _write_function("gateway_no_tokens", "", "jsonb", f"jsonb_build_object({members})")


def _write_price(kind: PriceKind) -> str:
    """Return the expression of a price. A part without a price has the price of its whole."""
    columns = [f"m.{kind.column}", *([f"m.{kind.part_of}_price"] if kind.part_of else [])]
    return f"COALESCE({', '.join(columns)}, p_default)"


def _write_cost() -> str:
    """`gateway_cost`: the exact cost as in llmproxy/metering/pricing.py, rounded up once."""
    terms = " + ".join(
        term for kind in PRICE_KINDS if not kind.part_of for term in _write_terms(kind)
    )
    return _write_function("gateway_cost", "c completions", "numeric", f"ceil(({terms}) / 1000)")


def _write_terms(root: PriceKind) -> Iterator[str]:
    """Yield the cost of all tokens at the price of the whole, and the difference for each part."""
    yield f"c.{root.tokens} * c.{root.column}"
    end = "0"
    for part in _list_parts(root):
        start, end = end, f"LEAST({end} + c.{part.tokens}, c.{root.tokens})"
        yield f"({end} - {start}) * COALESCE(c.{part.column} - c.{root.column}, 0)"


def _list_parts(root: PriceKind) -> list[PriceKind]:
    return [kind for kind in PRICE_KINDS if kind.part_of == root.name]


def _write_function(name: str, arguments: str, returns: str, expression: str) -> str:
    signature = f"CREATE FUNCTION {name}({arguments}) RETURNS {returns}"
    return f"{signature} LANGUAGE sql STABLE AS $$ SELECT {expression} $$;"
