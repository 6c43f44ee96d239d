"""Generates the database functions for the table of price kinds.

They are generated from PRICE_KINDS, so that a kind is listed in one place. Each function that every
completion needs is a single expression, which PostgreSQL inlines into the calling statement.
"""

from collections.abc import Callable, Iterator

from llmproxy.metering.price_kinds import (
    BY_NAME,
    COLUMN_KINDS,
    COUNT_COLUMNS,
    EXTRA_KINDS,
    PRICE_KINDS,
    TOKEN_KINDS,
    PriceKind,
    list_with_parts,
)

MODEL = "m language_models, p_default numeric"
ROOTS = [kind for kind in TOKEN_KINDS if not kind.part_of]


def write_functions() -> str:
    """Return the SQL that creates all functions."""
    functions = [
        _write_prices(),
        _write_has_extras(),
        _write_extras(),
        *(_write_dearest(root, _write_price) for root in ROOTS),
        *(_write_dearest(root, _write_long_price, "long_") for root in ROOTS),
        _write_function("gateway_long_prompt", MODEL, "numeric", _write_long_price(ROOTS[0])),
        _write_cost_with_extras(),
        _write_cost(),
        _write_no_tokens(),
    ]
    return "\n".join(functions)


def _write_prices() -> str:
    """`gateway_prices`: the prices that have columns, as a JSON object of decimal texts."""
    members = ", ".join(f"'{kind.name}', {_write_price(kind)}::text" for kind in COLUMN_KINDS)
    return _write_function("gateway_prices", MODEL, "jsonb", f"jsonb_build_object({members})")


def _write_has_extras() -> str:
    """`gateway_has_extras`: whether a model has other prices."""
    columns = ", ".join(f"m.{kind.column}" for kind in EXTRA_KINDS)
    expression = f"num_nonnulls(m.long_from_tokens, {columns}) > 0"
    return _write_function("gateway_has_extras", "m language_models", "boolean", expression)


def _write_extras() -> str:
    """`gateway_extras`: the other prices of a model as in `completions.extras`."""
    own = ", ".join(f"'{kind.name}', m.{kind.column}::text" for kind in EXTRA_KINDS)
    long = ", ".join(f"'{kind.name}', {_write_own_long_price(kind)}::text" for kind in TOKEN_KINDS)
    extras = (
        f"jsonb_strip_nulls(jsonb_build_object('prices', jsonb_build_object({own}), 'long', "
        f"CASE WHEN m.long_from_tokens IS NOT NULL THEN jsonb_build_object("
        f"'from', m.long_from_tokens, 'prices', jsonb_build_object({long})) END))"
    )
    return _write_function("gateway_extras", MODEL, "jsonb", extras)


def _write_dearest(root: PriceKind, write: Callable[[PriceKind], str], prefix: str = "") -> str:
    """`gateway_dearest_prompt` and the like: the highest price of a token; NULL without one.

    Of all tokens that every request can have: others are only possible with what some ask for.
    """
    kinds = [kind for kind in list_with_parts(root, TOKEN_KINDS) if kind.always_possible]
    prices = ", ".join(map(write, kinds))
    dearest = f"CASE WHEN {write(root)} IS NOT NULL THEN GREATEST({prices}) END"
    return _write_function(f"gateway_{prefix}dearest_{root.name}", MODEL, "numeric", dearest)


def _write_no_tokens() -> str:
    """`gateway_no_tokens`: an object in which every count that has a column is 0."""
    members = ", ".join(f"'{name}', 0" for name in COUNT_COLUMNS)
    return _write_function("gateway_no_tokens", "", "jsonb", f"jsonb_build_object({members})")


def _write_price(kind: PriceKind) -> str:
    """Return the expression of a price. A part without a price has the price of its whole."""
    return f"COALESCE({', '.join(f'm.{one.column}' for one in _list_wholes(kind))}, p_default)"


def _write_long_price(kind: PriceKind) -> str:
    """Return the expression of the price of a long prompt, which is the first one if empty."""
    columns = [f"m.{one.long_column}, m.{one.column}" for one in _list_wholes(kind)]
    return f"COALESCE({', '.join(columns)}, p_default)"


def _write_own_long_price(kind: PriceKind) -> str:
    """Like `_write_long_price`, but NULL for a part without a price of its own."""
    if kind.part_of:
        return f"COALESCE(m.{kind.long_column}, m.{kind.column})"
    return _write_long_price(kind)


def _list_wholes(kind: PriceKind) -> Iterator[PriceKind]:
    """Yield this kind, the one that it is part of, and so on."""
    yield kind
    if kind.part_of:
        yield from _list_wholes(BY_NAME[kind.part_of])


def _write_cost() -> str:
    """`gateway_cost`: the exact cost as in llmproxy/metering/pricing.py, rounded up once."""
    terms = " + ".join(term for root in ROOTS for term in _write_terms(root))
    cost = f"CASE WHEN c.extras IS NULL THEN ceil(({terms}) / 1000) ELSE gateway_cost_extras(c) END"
    return _write_function("gateway_cost", "c completions", "numeric", cost)


def _write_terms(root: PriceKind) -> Iterator[str]:
    """Yield the cost of all tokens at the price of the whole, and the difference for each part."""
    yield f"c.{root.count} * c.{root.column}"
    end = "0"
    for part in COLUMN_KINDS:
        if part.part_of == root.name:
            start, end = end, f"LEAST({end} + c.{part.count}, c.{root.count})"
            yield f"({end} - {start}) * COALESCE(c.{part.column} - c.{root.column}, 0)"


def _write_cost_with_extras() -> str:
    """`gateway_cost_extras`: the cost of a completion that has extras, step by step.

    Each step is a subquery that the next ones use: which column of prices applies, the price of
    each kind, and its tokens without those of its parts.
    """
    long = "(c.extras #>> '{long,from}')::bigint <= c.prompt_tokens"
    steps = [f"CASE WHEN {long} THEN c.extras #> '{{long,prices}}' END AS long"]
    steps += [f"{_write_frozen_price(kind)} AS {kind.name}_price" for kind in PRICE_KINDS]
    left = {}
    for kind in PRICE_KINDS:
        left[kind.name] = _write_frozen_count(kind)
        if whole := kind.part_of:
            steps.append(f"LEAST({left[kind.name]}, {left[whole]}) AS {kind.name}_tokens_")
            left[kind.name], rest = f"{kind.name}_tokens_", f"{whole}_without_{kind.name}"
            steps.append(f"{left[whole]} - {left[kind.name]} AS {rest}")
            left[whole] = rest
    sums = [
        f"{left[kind.name]} * {kind.name}_price * {1000 // kind.unit.size}" for kind in PRICE_KINDS
    ]
    tables = ", LATERAL ".join(
        f"(SELECT {step}) AS step_{number}" for number, step in enumerate(steps)
    )
    return _write_function(
        "gateway_cost_extras",
        "c completions",
        "numeric",
        f"ceil(({' + '.join(sums)}) / 1000) FROM {tables}",
    )


def _write_frozen_price(kind: PriceKind) -> str:
    """Return the expression of a price in the row of a completion."""
    first = f"c.{kind.column}" if kind.has_columns else _write_extra("prices", kind.name)
    if kind not in TOKEN_KINDS:
        return f"COALESCE({first}, 0)"
    own = f"CASE WHEN long IS NULL THEN {first} ELSE (long ->> '{kind.name}')::numeric END"
    return f"COALESCE({own}, {kind.part_of}_price)" if kind.part_of else own


def _write_frozen_count(kind: PriceKind) -> str:
    if kind.has_columns:
        return f"c.{kind.count}"
    return f"COALESCE({_write_extra('counts', kind.count)}, 0)"


def _write_extra(group: str, name: str) -> str:
    return f"(c.extras #>> '{{{group},{name}}}')::numeric"


def _write_function(name: str, arguments: str, returns: str, expression: str) -> str:
    signature = f"CREATE FUNCTION {name}({arguments}) RETURNS {returns}"
    return f"{signature} LANGUAGE sql STABLE AS $$ SELECT {expression} $$;"
