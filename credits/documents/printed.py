"""A document as its template shows it: amounts and numbers as text, in the words of its issue.

Nothing here reads the settings or the buyer: an old document looks as it did.
"""

from typing import Any

from django.utils.translation import gettext

from credits.currencies import to_decimal
from credits.documents import issue, texts
from credits.documents.facts import Facts
from credits.documents.tax_numbers import format_thai_number
from credits.documents.texts import Text
from credits.models import Document


def make_context(document: Document, *, is_copy: bool) -> dict[str, Any]:
    """Return the context of credits/documents/sheet.html."""
    languages = document.facts["languages"]
    old: Facts = _put_in_order(document.facts, languages)
    return {
        "document": document,
        "facts": old,
        "labels": old["labels"],
        "day": texts.write_day(issue.read_day(old), languages),
        "currency": old["currency"].upper(),
        "seller": _show_party(old["seller"], languages),
        "buyer": _show_party(old["buyer"], languages) if old["buyer"] else None,
        "lines": [_show_amount(line, old["currency"]) for line in old["lines"]],
        "sums": [_show_amount(line, old["currency"]) for line in old["sums"]],
        "mark": old["labels"]["copy" if is_copy else "original"],
        "because": gettext(document.cancelled_because) if document.cancelled_because else "",
        "replaced_by": find_replacement(document),
        "replaces": document.corrects if document.reversal_id is None else None,
    }


def _put_in_order(value: Any, languages: list[str]) -> Any:
    """Return facts with their texts in the order of the languages, which jsonb does not keep."""
    if isinstance(value, list):
        return [_put_in_order(each, languages) for each in value]
    if not isinstance(value, dict):
        return value
    names = languages if set(value) == set(languages) else value
    return {name: _put_in_order(value[name], languages) for name in names}


def find_replacement(document: Document) -> Document | None:
    """Return the document that was issued instead of this cancelled one."""
    if document.cancelled_at is None:
        return None
    return document.corrections.filter(reversal=None).first()


def _show_party(party: dict[str, str], languages: list[str]) -> dict[str, Any]:
    branch: Text | None = texts.say_branch(party["branch"], languages)
    return {
        "name": party["name"],
        "address": party["address"],
        "tax_number": format_thai_number(party["tax_number"]),
        "branch": branch,
    }


def _show_amount(line: dict[str, Any], currency: str) -> dict[str, Any]:
    """Return a line with its amount as text, with a minus sign as wide as a digit."""
    shown = f"{to_decimal(line['amount'], currency):,f}"
    return {**line, "shown": shown.replace("-", "−")}
