"""What is printed on a document, as one JSON value that never changes.

`form` is the version of this shape; amounts are in minor units of `currency`; a text is an object
with one entry for each of `languages`. The shape:

    form, languages, title, labels, currency, net, tax, total, percent, date,
    seller: {name, address, tax_number, branch}, buyer: the same or null,
    lines: [{text, quantity, amount}], sums: [{text, amount}], words: text or null,
    references: [{text, value: text or string}], notes: [text]

A note about money that went back has `reversed` too: the amount of its reversal at Stripe.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from credits.documents import buyer_details, texts
from credits.documents.amounts_in_words import write_baht
from credits.documents.buyer_details import Buyer
from credits.documents.tax_numbers import is_thai_number, normalise_number
from credits.documents.texts import Text, say
from credits.models import Purchase
from credits.models.documents import DocumentKind
from credits.purchases import taxes

Facts = dict[str, Any]

FORM = 1
BAHT = "thb"


def choose_kind(currency: str, buyer: Buyer | None) -> DocumentKind:
    """Return the kind of document for a sale.

    A registrant of Thai VAT issues a tax invoice for each sale in baht: a full one for a buyer
    with name and address (section 86/4 of the Revenue Code), else an abbreviated one (86/6).
    """
    if not (settings.TAX_INVOICES and currency == BAHT):
        return DocumentKind.RECEIPT
    return DocumentKind.ABBREVIATED if buyer is None else DocumentKind.TAX_INVOICE


def choose_languages(purchase: Purchase) -> list[str]:
    """Return the languages of a document: Thai and English if the seller is Thai."""
    if is_thai_number(normalise_number(settings.SELLER_TAX_NUMBER)):
        return ["th", "en"]
    known = dict(settings.LANGUAGES)
    return [purchase.language if purchase.language in known else settings.LANGUAGE_CODE[:2]]


def describe_sale(purchase: Purchase, *, kind: DocumentKind, buyer: Buyer | None) -> Facts:
    """Return the facts of the document about a paid purchase."""
    languages = choose_languages(purchase)
    paid_at = purchase.paid_at or timezone.now()
    amounts = {"net": purchase.net, "tax": purchase.tax, "total": purchase.total}
    return {
        **describe_frame(kind, languages, taxes.get_day(paid_at)),
        **describe_amounts(purchase.currency, purchase.total, languages),
        **amounts,
        "percent": format_percent(purchase.tax_percent),
        "seller": describe_seller(),
        "buyer": buyer_details.as_fact(buyer),
        "lines": [_describe_line(purchase, languages)],
        "sums": list_sums(kind, languages, format_percent(purchase.tax_percent), **amounts),
        "references": _list_references(purchase, languages),
        "notes": [],
    }


def describe_frame(kind: DocumentKind, languages: list[str], day: date) -> Facts:
    """Return the facts that each document has: its form, title, labels and date."""
    return {
        "form": FORM,
        "languages": languages,
        "title": say(languages, texts.TITLES[kind]),
        "labels": texts.say_labels(languages),
        "date": day.isoformat(),
    }


def describe_amounts(currency: str, total: int, languages: list[str]) -> Facts:
    """Return the currency, and the total in words if it is in baht."""
    is_baht = currency == BAHT
    return {
        "currency": currency,
        "words": {each: write_baht(total, each) for each in languages} if is_baht else None,
    }


def describe_seller() -> dict[str, str]:
    """Return the seller of the settings, as it is now."""
    return {
        "name": settings.SELLER_NAME or "SmartSpec",
        "address": settings.SELLER_ADDRESS,
        "tax_number": settings.SELLER_TAX_NUMBER,
        "branch": settings.SELLER_BRANCH,
    }


def list_sums(
    kind: DocumentKind, languages: list[str], percent: str, *, net: int, tax: int, total: int
) -> list[dict[str, Any]]:
    """Return the lines below the amounts. An abbreviated invoice only says that VAT is included."""
    if kind == DocumentKind.ABBREVIATED:
        text = say(languages, _("Total amount, VAT %(percent)s%% included"), percent=percent)
        return [{"text": text, "amount": total}]
    is_vat = kind in (DocumentKind.TAX_INVOICE, DocumentKind.CREDIT_NOTE)
    total_line = {"text": say(languages, _("Total amount")), "amount": total}
    if not (is_vat or tax):
        return [total_line]
    net_name = _("Value without VAT") if is_vat else _("Amount without tax")
    return [
        {"text": say(languages, net_name), "amount": net},
        {"text": _name_tax(languages, percent, is_vat=is_vat), "amount": tax},
        total_line,
    ]


def _name_tax(languages: list[str], percent: str, *, is_vat: bool) -> Text:
    """Return the name of the tax with its rate, which Stripe does not tell of what it adds."""
    if percent == "0":
        return say(languages, _("VAT") if is_vat else _("Tax"))
    name = _("VAT %(percent)s%%") if is_vat else _("Tax %(percent)s%%")
    return say(languages, name, percent=percent)


def format_percent(percent: Decimal) -> str:
    """Return a rate without zeros at its end: 7, 8.875."""
    return f"{percent.normalize():f}"


def _describe_line(purchase: Purchase, languages: list[str]) -> dict[str, Any]:
    sold = purchase.package.name if purchase.package else purchase.name
    name = say(languages, _("SmartSpec credits for language models: %(name)s"), name=sold)
    period = getattr(purchase, "subscription_period", None)
    if period is not None:
        name = _add_period(name, period.starts_at, period.ends_at, languages)
    amount = purchase.total
    return {"text": name, "quantity": purchase.credits, "amount": amount}


def _add_period(text: Text, start: datetime, end: datetime, languages: list[str]) -> Text:
    return say(
        languages,
        _("%(what)s, %(start)s to %(end)s"),
        what=text,
        start=texts.write_day(taxes.get_day(start), languages),
        end=texts.write_day(taxes.get_day(end), languages),
    )


def _list_references(purchase: Purchase, languages: list[str]) -> list[dict[str, Any]]:
    """Return when and how was paid, and the number of the purchase."""
    day = taxes.get_day(purchase.paid_at or timezone.now())
    paid: list[dict[str, Any]] = [
        {"text": say(languages, _("Paid on")), "value": texts.write_day(day, languages)}
    ]
    if purchase.method:
        method = texts.say_method(purchase.method, languages)
        paid.append({"text": say(languages, _("Paid by")), "value": method})
    number = say(languages, _("Purchase number"))
    return [*paid, {"text": number, "value": purchase.public_id}]
