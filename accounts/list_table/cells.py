"""What a cell of a list says: one format for each kind of value."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from django.contrib.admin.utils import display_for_field, display_for_value, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext

NOTHING = "–"
MAX_TEXT = 300  # characters of one cell; the page of the row has the rest
TIME = "j M Y, H:i"
# Money, percentages and sums of numbers are texts; "10 + 20" is one of tokens.
NUMBER_TEXT = re.compile(r"[-−+]?\D{0,4}\d[\d,.]*( \+ \d[\d,.]*)?( ?[A-Za-z]{1,3}| ?%)?")


PLAIN_NUMBER = re.compile(r"\d{4,12}(\.\d{1,9})?", re.ASCII)


class Kind(Enum):
    """How the cells of a column are set."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is what a person reads, `html` the same with its links, `value` what is behind it."""

    text: str
    html: str
    kind: Kind
    value: Any = None

    @property
    def full(self) -> str:
        """The text without the limit of a list."""
        return self.value if isinstance(self.value, str) else self.text


def make_cell(name: str, row: Any, model_admin: Any) -> Cell:
    """Return the cell of a column of `list_display`."""
    try:
        field, source, value = lookup_field(name, row, model_admin)
    except ObjectDoesNotExist:
        return Cell(NOTHING, NOTHING, Kind.TEXT)
    if value is None or value == "":
        return Cell(NOTHING, NOTHING, find_kind(field))
    if isinstance(value, bool):
        text = gettext("Yes") if value else gettext("No")
        return Cell(text, text, Kind.TEXT, value)
    if field is not None and field.choices:
        text = capfirst(str(display_for_field(value, field, NOTHING)))
        return Cell(text, text, Kind.TEXT, text)
    if field is not None and field.is_relation:
        return Cell(str(value), str(value), Kind.TEXT, value)
    if field is not None and field.primary_key:
        return Cell(str(value), str(value), Kind.TEXT, value)
    return _make_plain(value, field, is_boolean=getattr(source, "boolean", False))


def find_kind(field: Any) -> Kind:
    """Return the kind of a column without a value; one that a method makes is a text."""
    if isinstance(field, models.DateTimeField):
        return Kind.TIME
    is_number = isinstance(field, models.IntegerField | models.DecimalField | models.FloatField)
    return Kind.NUMBER if is_number and not field.choices else Kind.TEXT


def _make_plain(value: Any, field: Any, *, is_boolean: bool) -> Cell:
    if isinstance(value, datetime):
        local = timezone.localtime(value)
        text = date_format(local, TIME)
        exact = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
        return Cell(text, format_html('<time title="{}">{}</time>', exact, text), Kind.TIME, value)
    if isinstance(value, date):
        text = date_format(value, "j M Y")
        return Cell(text, text, Kind.TIME, value)
    if isinstance(value, int | Decimal | float):
        text = format_number(value)
        return Cell(text, text, Kind.NUMBER, value)
    if isinstance(value, SafeString):
        text = re.sub(r"\s+", " ", strip_tags(value)).strip()
        return Cell(text, value, _guess_kind(text), text)
    shown = display_for_field(value, field, NOTHING) if field else display_for_value(value, NOTHING)
    text = str(shown)
    if field is None and PLAIN_NUMBER.fullmatch(text):
        text = format_number(Decimal(text))
    cut = f"{text[: MAX_TEXT - 1]}…" if len(text) > MAX_TEXT else text
    kind = Kind.TEXT if field is not None or is_boolean else _guess_kind(cut)
    return Cell(cut, cut, kind, text)


def _guess_kind(text: str) -> Kind:
    return Kind.NUMBER if NUMBER_TEXT.fullmatch(text) else Kind.TEXT


def format_number(number: float | Decimal) -> str:
    """Return a number with commas between thousands and without zeros at its end."""
    if isinstance(number, Decimal):
        return f"{number.normalize():,f}"
    return f"{number:,}"
