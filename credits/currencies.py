"""Currencies: their minor units, the smallest payments that Stripe takes, and amounts in words.

An amount is a whole number of minor units everywhere: cents, satang, and whole yen.
Source: https://docs.stripe.com/currencies
"""

from decimal import Decimal

from django.utils.translation import get_language
from django.utils.translation import gettext as _

_WITHOUT_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
_WITH_TWO_DECIMALS = """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf
    chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf
    idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk
    mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd
    shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd yer zar zmw
"""
_WITH_THREE_DECIMALS = "bhd jod kwd omr tnd"
DECIMALS = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(_WITH_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_WITH_THREE_DECIMALS.split(), 3),
}
# The last digits of an amount that Stripe refuses to charge: these currencies have fewer decimals
# in life than in the API, or Stripe's partners read fewer.
STEPS = {"isk": 100, "ugx": 100, **dict.fromkeys(_WITH_THREE_DECIMALS.split(), 10)}
# The smallest payments, in minor units. Stripe converts the smallest payment of the account's own
# currency for the others.
SMALLEST = {
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 15_00,
    "dkk": 2_50,
    "eur": 50,
    "gbp": 30,
    "hkd": 4_00,
    "huf": 175_00,
    "inr": 50,
    "jpy": 50,
    "mxn": 10_00,
    "myr": 2_00,
    "nok": 3_00,
    "nzd": 50,
    "pln": 2_00,
    "ron": 2_00,
    "sek": 3_00,
    "sgd": 50,
    "thb": 10_00,
    "usd": 50,
}
LARGEST = 99_999_999  # eight digits
SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "thb": "฿"}
MOST_DECIMALS = 8  # of a fraction
THAI_NAMES = {"thb": "บาท"}


def count_decimals(currency: str) -> int:
    """Return how many decimals an amount in this currency has: 0, 2 or 3."""
    return DECIMALS.get(currency, 2)


def to_decimal(amount: int, currency: str) -> Decimal:
    """Return an amount in the main unit: 500 usd is 5.00, and 500 jpy is 500."""
    return Decimal(amount).scaleb(-count_decimals(currency))


def format_amount(amount: int, currency: str, language: str | None = None) -> str:
    """Return an amount for people, in `language` or else the active one: $5.00, 175.00 บาท.

    A currency whose sign several countries use is named by its code.
    """
    number = f"{abs(to_decimal(amount, currency)):,f}"
    return ("-" if amount < 0 else "") + _add_sign(number, currency, language)


def format_fraction(amount: Decimal, currency: str) -> str:
    """Return an amount in the main unit, of which small ones have three digits: $0.00123.

    What has no more digits than the currency has decimals looks as in `format_amount`.
    """
    decimals = count_decimals(currency)
    digits = min(max(decimals, 2 - amount.adjusted()), MOST_DECIMALS) if amount else decimals
    whole, _point, fraction = f"{amount:,.{digits}f}".partition(".")
    kept = fraction[:decimals] + fraction[decimals:].rstrip("0")
    return _add_sign(f"{whole}.{kept}" if kept else whole, currency, None)


def _add_sign(number: str, currency: str, language: str | None) -> str:
    if (language or get_language() or "en")[:2] == "th" and currency in THAI_NAMES:
        return f"{number} {THAI_NAMES[currency]}"
    return f"{SIGNS[currency]}{number}" if currency in SIGNS else f"{number} {currency.upper()}"


def find_problem(amount: int, currency: str) -> str:
    """Say why Stripe would not charge this amount; empty if it would."""
    if currency not in DECIMALS:
        return _("Stripe does not know the currency %(currency)s.") % {"currency": currency}
    smallest, step = SMALLEST.get(currency, 1), STEPS.get(currency, 1)
    if amount < smallest:
        return _("The smallest payment is %(amount)s.") % {
            "amount": format_amount(smallest, currency)
        }
    if amount > LARGEST:
        return _("The largest payment is %(amount)s.") % {
            "amount": format_amount(LARGEST, currency)
        }
    if amount % step:
        return _("The amount has to be divisible by %(amount)s.") % {
            "amount": format_amount(step, currency)
        }
    return ""
