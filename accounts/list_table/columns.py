"""The columns of a list: their titles, and widths with which every list fits its window.

The widths are estimates in pixels for a window of 1280 pixels, and are given as percentages. Times
and numbers get what they need, texts share the rest.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import label_for_field
from django.utils.translation import gettext

from accounts.list_table.cells import NOTHING, Cell, Kind

AVAILABLE = 952  # pixels beside the menu, in a window of 1280
CHARACTER = 7.6
DIGIT = 9  # all digits of a number have the width of the widest
PADDING = 20
SHORT = 16
NARROWEST, COMFORTABLE, WIDEST = 62, 150, 300
TIME_ON_TWO_LINES = 12 * DIGIT + PADDING


@dataclass(slots=True)
class Column:
    """One column. `name` is an entry of `list_display`: a name, or a function."""

    name: Any
    header: dict[str, Any]
    kind: Kind = Kind.TEXT
    need: float = 0
    width: float = 0

    @property
    def title(self) -> str:
        return write_title(self.header["text"])

    @property
    def label(self) -> str:
        """The end of the column's class names, as Django makes them."""
        return self.name if isinstance(self.name, str) else str(self.name.__name__)

    @property
    def percent(self) -> str:
        return f"{self.width:.1f}%"

    @property
    def characters(self) -> int:
        """How many characters have room on one line."""
        return int((self.width / 100 * AVAILABLE - PADDING) / CHARACTER)


def find_title(name: Any, model_admin: Any) -> str:
    """Return the title of a column of `list_display`."""
    return write_title(label_for_field(name, model_admin.model, model_admin))


def write_title(label: Any) -> str:
    """Return a label with a capital at its beginning; an id is an ID.

    Labels of libraries are not marked for translation, so they are looked up here.
    """
    text = gettext(str(label)) if label else ""
    return "ID" if text.lower() == "id" else text[:1].upper() + text[1:]


def measure(text: str) -> float:
    """Return the estimated width of a text in pixels; marks above or below take no room."""
    return CHARACTER * sum(1 for each in text if unicodedata.category(each) != "Mn")


def fit_columns(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, spare: float) -> None:
    """Set the kind and the width of each column. `spare` is what the list has beside them."""
    cells = list(zip(*rows, strict=True)) if rows else []
    for column, found in zip(columns, cells, strict=False):
        column.kind = find_common_kind(found)
        needs = (_measure_cell(cell, column.kind) for cell in found)
        column.need = max(_measure_title(column), *needs) + PADDING
    share_width(columns, available=AVAILABLE - spare)


def find_common_kind(cells: Sequence[Cell]) -> Kind:
    """Return the kind of a column, whose cells agree unless they are empty."""
    kinds = {cell.kind for cell in cells if cell.text != NOTHING} or {cells[0].kind}
    return kinds.pop() if len(kinds) == 1 else Kind.TEXT


def _measure_cell(cell: Cell, kind: Kind) -> float:
    if kind is Kind.NUMBER or cell.text.isdigit():
        return DIGIT * len(cell.text)
    # A short word, such as a state, may consist of wide letters.
    return measure(cell.text) * (1.1 if len(cell.text) < SHORT else 1)


def _measure_title(column: Column) -> float:
    """Return the width of the longest word of the title. Thai has no spaces and breaks anywhere."""
    words = (word if word.isascii() else word[:9] for word in column.title.split())
    return max((measure(word) for word in words), default=0) * 1.2


def share_width(columns: Sequence[Column], *, available: float) -> None:
    """Turn needs into percentages that come to 100."""
    texts = [column for column in columns if column.kind is Kind.TEXT]
    fixed = sum(column.need for column in columns if column.kind is not Kind.TEXT)
    least = sum(min(column.need, COMFORTABLE) for column in texts)
    if fixed + least > available:
        for column in columns:
            if column.kind is Kind.TIME:
                column.need = min(column.need, TIME_ON_TWO_LINES)
    fixed = sum(column.need for column in columns if column.kind is not Kind.TEXT)
    _fill(texts, available=max(available - fixed, NARROWEST * len(texts)))
    total = sum(column.need for column in columns) or 1
    for column in columns:
        column.width = column.need / total * 100


def _fill(texts: Sequence[Column], *, available: float) -> None:
    """Narrow the widest texts until all have room, so that short ones stay whole."""
    left, waiting = available, sorted(texts, key=lambda column: column.need)
    while waiting:
        column = waiting.pop(0)
        column.need = min(column.need, max(left / (len(waiting) + 1), NARROWEST), WIDEST)
        left -= column.need
