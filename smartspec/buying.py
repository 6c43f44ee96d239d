"""The settings of buying credits with Stripe, read from the environment."""

import re
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from credits.currencies import DECIMALS, count_decimals
from smartspec.environment import Environment

STRIPE = "https://api.stripe.com"
NEW_ACCOUNT_DAY_LIMITS = "usd=200,thb=7000"
# Where Stripe's pages are: to pay, and to manage a subscription.
STRIPE_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com"]

# A tax rate: percent, and the last day on which it applies; None without an end.
Rate = tuple[Decimal, date | None]
_RATE = re.compile(
    r"(?P<percent>[0-9]{1,2}(?:\.[0-9]{1,3})?)(?: +until +(?P<until>[0-9]{4}-[0-9]{2}-[0-9]{2}))?\Z"
)
_USD_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")


def read_settings(env: Environment, *, debug: bool, origin: str) -> dict[str, Any]:
    """Return the settings. Without STRIPE_SECRET_KEY nothing can be paid online."""
    base = env.str("STRIPE_API_BASE", default=STRIPE).rstrip("/")
    return {
        **_read_taxes(env),
        "STRIPE_SECRET_KEY": env.str("STRIPE_SECRET_KEY", default="").strip(),
        "STRIPE_WEBHOOK_SECRETS": [
            secret.strip() for secret in env.list("STRIPE_WEBHOOK_SECRETS", default=[])
        ],
        "STRIPE_API_BASE": base,
        # The origins to which a form of ours may lead in the end.
        "STRIPE_PAGES": STRIPE_PAGES if base == STRIPE else [base],
        # Tells this installation from others that use the same Stripe account.
        "STRIPE_SITE": origin.partition("://")[2],
        "STRIPE_SECONDS": 10,
        "STRIPE_SESSION_SECONDS": 3600,
        # The currencies on sale, the default first.
        "CURRENCIES": [
            code.strip().lower()
            for code in env.list("CURRENCIES", default=["usd", "thb"] if debug else ["usd"])
        ],
        # What a US dollar is in other currencies. Only figures of the operator are converted.
        "USD_RATES": env.get_value("USD_RATES", cast=read_usd_rates, default={}),
        "PROMPTPAY": env.bool("PROMPTPAY", default=debug),
        # How many payments a user begins in an hour and a day, and one network in an hour.
        "BUY_RPH": env.int("BUY_RPH", default=5),
        "BUY_RPD": env.int("BUY_RPD", default=20),
        "BUY_NETWORK_RPH": env.int("BUY_NETWORK_RPH", default=30),
        # For so many days after the sign-up, a user buys for at most so much in a day: minor units
        # by currency.
        "NEW_ACCOUNT_DAYS": env.int("NEW_ACCOUNT_DAYS", default=7),
        "NEW_ACCOUNT_DAY_LIMITS": env.get_value(
            "NEW_ACCOUNT_DAY_LIMITS",
            cast=read_amounts,
            default=read_amounts(NEW_ACCOUNT_DAY_LIMITS),
            shown=NEW_ACCOUNT_DAY_LIMITS,
        ),
        # For so many days, events of Stripe are kept with the names and addresses in them.
        "PAYMENT_EVENT_DAYS": env.int("PAYMENT_EVENT_DAYS", default=90),
        "SELF_REFUND_DAYS": env.int("SELF_REFUND_DAYS", default=14),
        # A payment that a bank reports as fraud is refunded, which costs less than a dispute.
        "REFUND_FRAUD_WARNINGS": env.bool("REFUND_FRAUD_WARNINGS", default=True),
    }


def _read_taxes(env: Environment) -> dict[str, Any]:
    """Return the settings of tax and documents. smartspec/tax_checks.py refuses bad ones."""
    issues_tax_invoices = env.bool("TAX_INVOICES", default=False)
    return {
        "TAX_MODE": env.str("TAX_MODE", default="none").strip().lower() or "none",
        "TAX_RATES": env.get_value("TAX_RATES", cast=read_rates, default=[]),
        "TAX_INVOICES": issues_tax_invoices,
        "SELLER_NAME": env.str("SELLER_NAME", default="").strip(),
        "SELLER_ADDRESS": env.str("SELLER_ADDRESS", default="").strip(),
        "SELLER_TAX_NUMBER": env.str("SELLER_TAX_NUMBER", default="").strip(),
        "SELLER_BRANCH": env.str("SELLER_BRANCH", default="").strip(),
        # The days of documents and of tax rates are those of this zone.
        "SELLER_TIME_ZONE": env.str("SELLER_TIME_ZONE", default="").strip()
        or ("Asia/Bangkok" if issues_tax_invoices else "UTC"),
    }


def read_rates(text: str) -> list[Rate]:
    """Return the tax rates of a text such as `7 until 2027-09-30, 10`, the earliest first.

    Raises ValueError for any other form, also if the days do not ascend or the last rate ends:
    nobody would know the rate of the next day.
    """
    rates = [_read_rate(part.strip()) for part in text.split(",") if text.strip()]
    days = [until for _, until in rates[:-1]]
    if None in days:
        raise ValueError("a rate without a date applies for ever, and others follow it")
    if rates and rates[-1][1] is not None:
        raise ValueError("the last rate has a date: say which one follows it")
    if any(later <= earlier for earlier, later in pairwise(filter(None, days))):
        raise ValueError("the dates do not ascend")
    return rates


def _read_rate(text: str) -> Rate:
    parts = _RATE.match(text)
    if parts is None:
        raise ValueError(f"{text[:40]!r} is no rate such as 7, 7.5 or 7 until 2027-09-30")
    until = parts["until"]
    return Decimal(parts["percent"]), date.fromisoformat(until) if until else None


def read_usd_rates(text: str) -> dict[str, Decimal]:
    """Read what a US dollar is in other currencies, such as `thb=36.5, eur=0.92`.

    Raises ValueError for an unknown currency, for US dollars, and for what is no such rate.
    """
    rates = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        currency, _, rate = item.partition("=")
        code, number = currency.strip().lower(), rate.strip()
        if code not in DECIMALS or code == "usd" or code in rates:
            raise ValueError(f"{item[:40]!r} names no currency beside the US dollar once")
        if not _USD_RATE.match(number) or not Decimal(number):
            raise ValueError(f"{item[:40]!r} is no rate, such as thb=36.5")
        rates[code] = Decimal(number)
    return rates


def read_amounts(text: str) -> dict[str, int]:
    """Read amounts in main units, such as `usd=200,thb=7000`; return them in minor units.

    Raises ValueError for an unknown currency, and for what is no such amount.
    """
    amounts = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        currency, _, amount = item.partition("=")
        code = currency.strip().lower()
        if code not in DECIMALS or not amount.strip().isdecimal() or not amount.isascii():
            raise ValueError(f"{item!r} is no amount, such as usd=200")
        amounts[code] = int(Decimal(amount.strip()[:12]).scaleb(count_decimals(code)))
    return amounts
