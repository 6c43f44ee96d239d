"""System checks of tax and of the documents about payments."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.utils import timezone

from credits.documents.tax_numbers import BRANCH, is_thai_number, normalise_number
from credits.purchases import taxes

BANGKOK = "Asia/Bangkok"
SOON = timedelta(days=60)  # before the end of a rate


@register(Tags.security)
def check_taxes(**_: Any) -> list[CheckMessage]:
    """Refuse what would print wrong documents or take a wrong tax."""
    return [
        *_check_mode(),
        *_check_zone(),
        *(_check_tax_invoices() if settings.TAX_INVOICES else ()),
        *(_check_receipts() if settings.STRIPE_SECRET_KEY and not settings.DEBUG else ()),
    ]


def _check_mode() -> Iterator[CheckMessage]:
    if settings.TAX_MODE not in taxes.MODES:
        yield Error(
            "TAX_MODE is none of none, included and stripe.",
            hint="Set it to none if prices have no tax.",
            id="smartspec.E050",
        )
    if settings.TAX_MODE == taxes.INCLUDED and not settings.TAX_RATES:
        yield Error(
            "TAX_MODE is included, but TAX_RATES has no rate.",
            hint="Set it to the rate in percent, such as 7 until 2027-09-30, 10",
            id="smartspec.E051",
        )
    if settings.TAX_MODE != taxes.INCLUDED and settings.TAX_RATES:
        yield checks.Warning(
            "TAX_RATES has no effect, because TAX_MODE is not included.",
            hint="Set TAX_MODE to included, or empty TAX_RATES.",
            id="smartspec.W050",
        )
    if settings.TAX_MODE == taxes.STRIPE and settings.PROMPTPAY:
        yield checks.Warning(
            "TAX_MODE is stripe, and PROMPTPAY is on: only Thai accounts have PromptPay, and Stripe"
            " Tax calculates no Thai tax for sellers in Thailand.",
            hint="Set TAX_MODE to included with TAX_RATES, or to none.",
            id="smartspec.W051",
        )


def _check_zone() -> Iterator[CheckMessage]:
    if not _is_zone(settings.SELLER_TIME_ZONE):
        yield Error(
            "SELLER_TIME_ZONE is not a time zone.",
            hint="Set it to a name such as Asia/Bangkok, or leave it empty.",
            id="smartspec.E052",
        )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_tax_invoices() -> Iterator[CheckMessage]:
    """Refuse tax invoices without what section 86/4 of the Thai Revenue Code wants on them."""
    yield from _check_registrant()
    if settings.TAX_MODE != taxes.INCLUDED:
        yield Error(
            "TAX_INVOICES is on, but TAX_MODE is not included: an invoice would have no VAT.",
            hint="Set TAX_MODE to included and TAX_RATES to the rates of VAT.",
            id="smartspec.E056",
        )
    if "thb" not in settings.CURRENCIES:
        yield Error(
            "TAX_INVOICES is on, but CURRENCIES has no thb: tax invoices are issued in baht only.",
            hint="Add thb to CURRENCIES.",
            id="smartspec.E057",
        )
    if settings.SELLER_TIME_ZONE != BANGKOK:
        yield Error(
            f"TAX_INVOICES is on, but SELLER_TIME_ZONE is not {BANGKOK}.",
            hint="Leave it empty: the tax falls due on the day in Thailand.",
            id="smartspec.E058",
        )
    if others := [code for code in settings.CURRENCIES if code != "thb"]:
        yield checks.Warning(
            f"Sales in {', '.join(others)} get a receipt, but no Thai tax invoice.",
            hint="Issue those yourself, with the exchange rate that the law names, or sell in thb"
            " only.",
            id="smartspec.W052",
        )


def _check_registrant() -> Iterator[CheckMessage]:
    if not is_thai_number(normalise_number(settings.SELLER_TAX_NUMBER)):
        yield Error(
            "TAX_INVOICES is on, but SELLER_TAX_NUMBER is not a Thai tax number of 13 digits with"
            " the right check digit.",
            hint="Copy it from the certificate of VAT registration (ภ.พ.20).",
            id="smartspec.E053",
        )
    if not (settings.SELLER_NAME and settings.SELLER_ADDRESS):
        yield Error(
            "TAX_INVOICES is on, but SELLER_NAME or SELLER_ADDRESS is missing.",
            hint="Copy both from the certificate of VAT registration (ภ.พ.20).",
            id="smartspec.E054",
        )
    if not BRANCH.match(settings.SELLER_BRANCH):
        yield Error(
            "TAX_INVOICES is on, but SELLER_BRANCH is not a number of five digits.",
            hint="Set it to 00000 for the head office, or to the number of the branch.",
            id="smartspec.E055",
        )


def _check_receipts() -> Iterator[CheckMessage]:
    if not settings.SELLER_NAME:
        yield checks.Warning(
            "SELLER_NAME is not set: receipts do not say who was paid.",
            hint="Set SELLER_NAME and SELLER_ADDRESS.",
            id="smartspec.W053",
        )


@register(Tags.security, deploy=True)
def check_end_of_rate(**_: Any) -> list[CheckMessage]:
    """Warn before a rate ends: a decree may have extended it."""
    if settings.TAX_MODE != taxes.INCLUDED or not _is_zone(settings.SELLER_TIME_ZONE):
        return []
    today = taxes.get_day(timezone.now())
    return [
        checks.Warning(
            f"The tax rate of {percent} percent ends on {until}.",
            hint="If a decree has extended it, correct its date in TAX_RATES.",
            id="smartspec.W054",
        )
        for percent, until in settings.TAX_RATES
        if until is not None and today <= until <= today + SOON
    ]
