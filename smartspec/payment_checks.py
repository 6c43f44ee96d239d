"""System checks of the settings and prices of buying: each combination that cannot work."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import Error as DatabaseError

from credits.currencies import DECIMALS, find_problem
from credits.models import Package, PackagePrice, PlanPrice
from credits.stripe_api.client import is_configured, is_live
from smartspec.buying import STRIPE

KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]+\Z")
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+\Z")
MOST_PRICES = 20  # that a check names


@register(Tags.security)
def check_payment_settings(**_: Any) -> list[CheckMessage]:
    return [
        *_check_currencies(),
        *_check_secrets(),
        *(_check_key() if is_configured() else ()),
        *(_check_mode() if is_configured() else ()),
        *(() if settings.DEBUG else _check_production()),
    ]


def _check_currencies() -> Iterator[CheckMessage]:
    codes = settings.CURRENCIES
    unknown = [code for code in codes if code not in DECIMALS]
    if unknown:
        yield Error(
            f"CURRENCIES has {unknown[0]!r}, which is no currency that Stripe knows.",
            hint="Set codes of ISO 4217, separated by commas, such as usd,thb.",
            id="smartspec.E030",
        )
    elif not codes or len(set(codes)) < len(codes):
        yield Error(
            "CURRENCIES names no currency, or one twice.",
            hint="Set the currencies on sale, the default first, such as usd,thb.",
            id="smartspec.E031",
        )


def _check_key() -> Iterator[CheckMessage]:
    key = settings.STRIPE_SECRET_KEY
    if key.startswith("pk_"):
        yield Error(
            "STRIPE_SECRET_KEY is a publishable key, with which nothing can be sold.",
            hint="Set the secret key, which begins with sk_, or a restricted one, rk_.",
            id="smartspec.E032",
        )
    elif not KEY.match(key):
        yield Error(
            "STRIPE_SECRET_KEY is no key of Stripe.",
            hint="Copy it again from Stripe's dashboard: sk_live_… or rk_live_…, or with test.",
            id="smartspec.E033",
        )
    if not any(settings.STRIPE_WEBHOOK_SECRETS):
        yield Error(
            "STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRETS: payments would be noticed"
            " minutes later, refunds and disputes a day later.",
            hint="Run manage.py stripe_setup, which makes the endpoint and tells its secret.",
            id="smartspec.E034",
        )


def _check_secrets() -> Iterator[CheckMessage]:
    secrets = [secret for secret in settings.STRIPE_WEBHOOK_SECRETS if secret]
    if any(not SECRET.match(secret) for secret in secrets):
        yield Error(
            "STRIPE_WEBHOOK_SECRETS has an entry that is no signing secret.",
            hint="Each begins with whsec_. The key of the API is no such secret.",
            id="smartspec.E035",
        )
    if secrets and not is_configured():
        yield checks.Warning(
            "STRIPE_WEBHOOK_SECRETS is set without STRIPE_SECRET_KEY: events cannot be applied.",
            hint="Set the key, or unset the secrets.",
            id="smartspec.W030",
        )


def _check_mode() -> Iterator[CheckMessage]:
    if is_live() and settings.DEBUG:
        yield Error(
            "STRIPE_SECRET_KEY is a live key, and DEBUG is on: real money would move.",
            hint="Use a test key for development, or set DEBUG=false.",
            id="smartspec.E036",
        )
    if is_live() and settings.STRIPE_API_BASE != STRIPE:
        yield Error(
            "STRIPE_SECRET_KEY is a live key, and STRIPE_API_BASE is not Stripe: the key would be"
            " told to somebody else.",
            hint=f"Unset STRIPE_API_BASE, which is {STRIPE} then.",
            id="smartspec.E037",
        )
    if is_live() and not settings.PUBLIC_ORIGIN.startswith("https://"):
        yield Error(
            "STRIPE_SECRET_KEY is a live key, and PUBLIC_ORIGIN is not https: Stripe sends no"
            " events there.",
            hint="Set PUBLIC_ORIGIN to the https address of the site.",
            id="smartspec.E038",
        )


def _check_production() -> Iterator[CheckMessage]:
    if settings.STRIPE_API_BASE != STRIPE:
        yield Error(
            "STRIPE_API_BASE is not Stripe, and DEBUG is off: whoever answers there decides who has"
            " paid.",
            hint=f"Unset STRIPE_API_BASE, which is {STRIPE} then.",
            id="smartspec.E039",
        )
    if is_configured() and not is_live():
        yield checks.Warning(
            "STRIPE_SECRET_KEY is a test key: everybody can buy credits with Stripe's test cards,"
            " without money.",
            hint="Set the live key, unless this site is a trial that only you can reach.",
            id="smartspec.W031",
        )
    if settings.PROMPTPAY and "thb" not in settings.CURRENCIES:
        yield checks.Warning(
            "PROMPTPAY is set, and thb is not in CURRENCIES: PromptPay is for baht only.",
            hint="Add thb to CURRENCIES, or unset PROMPTPAY.",
            id="smartspec.W032",
        )


@register(Tags.database, deploy=True)
def check_prices(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse prices on sale that Stripe would not charge, and warn of packages without a price.

    The check runs with `check --deploy --database default`.
    """
    if not databases or not is_configured():
        return []
    try:
        return [*_check_amounts(), *_check_packages()]
    except DatabaseError:  # The database is away or has no tables: other checks report that.
        return []


def _check_amounts() -> Iterator[CheckMessage]:
    on_sale = {"currency__in": settings.CURRENCIES}
    rows: list[PackagePrice | PlanPrice] = [
        *PackagePrice.objects.filter(package__is_active=True, **on_sale).select_related("package"),
        *PlanPrice.objects.filter(is_active=True, **on_sale).select_related("plan"),
    ]
    wrong = [(row, problem) for row in rows if (problem := find_problem(row.amount, row.currency))]
    for row, problem in wrong[:MOST_PRICES]:
        sold = row.package if isinstance(row, PackagePrice) else row.plan
        yield Error(
            f"{sold} cannot be sold in {row.currency}: {problem}",
            hint="Change the price in the admin.",
            id="smartspec.E040",
        )


def _check_packages() -> Iterator[CheckMessage]:
    unpriced = Package.objects.filter(is_active=True).exclude(
        prices__currency__in=settings.CURRENCIES
    )
    for package in unpriced[:MOST_PRICES]:
        yield checks.Warning(
            f"{package} is on sale and has no price in {', '.join(settings.CURRENCIES)}.",
            hint="Add a price in the admin, or take the package off sale.",
            id="smartspec.W033",
        )
