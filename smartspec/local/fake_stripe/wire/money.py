"""Amounts: currencies, the least that can be paid, and how an amount is written."""

from smartspec.local.fake_stripe.wire.refusals import InvalidRequest

WITHOUT_DECIMALS = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
TAX_PERCENT = 10  # What automatic tax adds, wherever the buyer is.
LEAST = {"eur": 50, "gbp": 30, "jpy": 50, "thb": 1000, "usd": 50}  # In minor units.
MAX_AMOUNT = 99_999_999
SIGNS = {"eur": "€", "gbp": "£", "jpy": "¥", "thb": "฿", "usd": "$"}


def check_amount(amount: int, currency: str, *, param: str = "amount") -> None:
    """Raises InvalidRequest for an amount that Stripe does not take in this currency."""
    if len(currency) != 3 or not currency.isalpha():
        raise InvalidRequest(f"Invalid currency: {currency}.", param="currency")
    least = LEAST.get(currency.lower(), 50)
    if amount < 1:
        raise InvalidRequest(
            "Invalid positive integer", param=param, code="parameter_invalid_integer"
        )
    if amount < least:
        raise InvalidRequest(
            f"Amount must be at least {format_amount(least, currency)} {currency.lower()}",
            param=param,
            code="amount_too_small",
        )
    if amount > MAX_AMOUNT:
        raise InvalidRequest(
            f"Amount must be no more than {format_amount(MAX_AMOUNT, currency)}",
            param=param,
            code="amount_too_large",
        )


def format_amount(amount: int, currency: str) -> str:
    """Write an amount of minor units for people: `$12.50`, `¥300`, `12.50 CHF`."""
    code = currency.lower()
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    text = f"{size:,}" if code in WITHOUT_DECIMALS else f"{size // 100:,}.{size % 100:02}"
    return f"{sign}{SIGNS[code]}{text}" if code in SIGNS else f"{sign}{text} {code.upper()}"
