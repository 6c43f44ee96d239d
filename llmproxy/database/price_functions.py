"""The functions of the database that follow from the table of price kinds.

They are made from PRICE_KINDS, so that a kind is listed once. Each is a single expression, which PostgreSQL puts into
the statement that calls it: the audit asks for the cost of every completion.
"""

from collections.abc import Iterator

from llmproxy.metering.pricing import PRICE_KINDS, PriceKind

MODEL = "m language_models, p_default numeric"


def write_functions() -> str:
    """The SQL that makes all of them."""
    roots = [kind for kind in PRICE_KINDS if not kind.part_of]
    return "\n".join([_prices(), *map(_dearest, roots), _cost()])


def _prices() -> str:
    """`gateway_prices`: what each kind costs for this model, as one object of decimal texts."""
    members = ", ".join(f"'{kind.name}', {_price(kind)}::text" for kind in PRICE_KINDS)
    return _function("gateway_prices", MODEL, "jsonb", f"jsonb_build_object({members})")


def _dearest(root: PriceKind) -> str:
    """`gateway_dearest_prompt`, `…_completion`: the most that one token can cost; NULL without a price."""
    prices = ", ".join(_price(kind) for kind in (root, *_parts(root)))
    dearest = f"CASE WHEN {_price(root)} IS NOT NULL THEN GREATEST({prices}) END"
    return _function(f"gateway_dearest_{root.name}", MODEL, "numeric", dearest)


def _price(kind: PriceKind) -> str:
    """A part without a price costs what its whole costs."""
    columns = [f"m.{kind.column}", *([f"m.{kind.part_of}_price"] if kind.part_of else [])]
    return f"COALESCE({', '.join(columns)}, p_default)"


def _cost() -> str:
    """`gateway_cost`: the exact sum of llmproxy/metering/pricing.py, rounded up once."""
    terms = " + ".join(term for kind in PRICE_KINDS if not kind.part_of for term in _terms(kind))
    return _function("gateway_cost", "c completions", "numeric", f"ceil(({terms}) / 1000)")


def _terms(root: PriceKind) -> Iterator[str]:
    """All tokens at the price of the whole, and for those of each part the difference of its price."""
    yield f"c.{root.tokens} * c.{root.column}"
    upto = "0"
    for part in _parts(root):
        before, upto = upto, f"LEAST({upto} + c.{part.tokens}, c.{root.tokens})"
        yield f"({upto} - {before}) * COALESCE(c.{part.column} - c.{root.column}, 0)"


def _parts(root: PriceKind) -> list[PriceKind]:
    return [kind for kind in PRICE_KINDS if kind.part_of == root.name]


def _function(name: str, arguments: str, returns: str, expression: str) -> str:
    return f"CREATE FUNCTION {name}({arguments}) RETURNS {returns} LANGUAGE sql STABLE AS $$ SELECT {expression} $$;"
