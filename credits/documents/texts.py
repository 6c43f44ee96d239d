"""The words of documents, in each language of a document.

A document keeps its words, so they are translated once, when it is issued.
"""

from datetime import date
from typing import Any

from django.utils import translation
from django.utils.dates import MONTHS
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from credits.documents.tax_numbers import HEAD_OFFICE
from credits.models.documents import DocumentKind

Text = dict[str, str]  # a text in each language of its document

BUDDHIST_YEARS = 543  # by which the Thai calendar is ahead

# The titles of a tax invoice say that it is the receipt too: a service is taxed when it is paid.
TITLES = {
    DocumentKind.RECEIPT: _("Payment receipt"),
    DocumentKind.TAX_INVOICE: _("Tax invoice / Receipt"),
    DocumentKind.ABBREVIATED: _("Abbreviated tax invoice / Receipt"),
    DocumentKind.CREDIT_NOTE: _("Credit note"),
    DocumentKind.REFUND_NOTE: _("Refund note"),
}
LABELS = {
    "number": _("No."),
    "date": _("Date"),
    "seller": _("Seller"),
    "buyer": _("Customer"),
    "tax_number": _("Tax ID"),
    "line": _("Item"),
    "quantity": _("Quantity"),
    "amount": _("Amount"),
    "words": _("Amount in words"),
    "original": _("Original"),
    "copy": _("Copy of a document"),  # "Copy" is what a button does; locale/en shortens this
    "cancelled": _("Cancelled"),
}
METHODS = {"card": _("Card"), "promptpay": _("PromptPay")}


def say(languages: list[str], text: str | Promise, **values: Any) -> Text:
    """Return a text in each language, with `values` in the places that it names.

    A value that is a Text is given in its own language.
    """
    return {language: _say_in(language, text, values) for language in languages}


def _say_in(language: str, text: str | Promise, values: dict[str, Any]) -> str:
    with translation.override(language):
        words = str(text)
    if not values:
        return words
    return words % {
        name: value[language] if isinstance(value, dict) else value
        for name, value in values.items()
    }


def say_labels(languages: list[str]) -> dict[str, Text]:
    """Return all LABELS in each language."""
    return {name: say(languages, text) for name, text in LABELS.items()}


def write_day(day: date, languages: list[str]) -> Text:
    """Return a day in words; Thai counts the years of the Buddhist era."""
    return {language: _write_day_in(language, day) for language in languages}


def _write_day_in(language: str, day: date) -> str:
    year = day.year + BUDDHIST_YEARS if language == "th" else day.year
    with translation.override(language):
        return f"{day.day} {MONTHS[day.month]} {year}"


def say_branch(branch: str, languages: list[str]) -> Text | None:
    """Return the head office or the branch in words, as Thai documents name it; None for none."""
    if not branch:
        return None
    if branch == HEAD_OFFICE:
        return say(languages, _("Head office"))
    return say(languages, _("Branch %(number)s"), number=branch)


def say_method(method: str, languages: list[str]) -> Text:
    """Return how was paid; a method that has no word here is named as Stripe names it."""
    return say(languages, METHODS.get(method, method.replace("_", " ")))
