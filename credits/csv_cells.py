"""Writes CSV files that are opened in a spreadsheet."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

# A spreadsheet would evaluate a text that begins with one of these, or drop its apostrophe.
# Some spreadsheets read the signs of full width as the narrow ones.
UNSAFE = (*"=+-@＝＋－＠", "\t", "\r", "\n", "'")
NUMBER = re.compile(r"-\d+(\.\d+)?\Z", re.ASCII)


def escape_cell(cell: Any) -> Any:
    """Return the cell, with an apostrophe before a text that a spreadsheet would change.

    Negative numbers stay unchanged. Removing one apostrophe restores the text, as
    static/credits/verify_statement.py does.
    """
    if isinstance(cell, str) and cell.startswith(UNSAFE) and not NUMBER.match(cell):
        return f"'{cell}"
    return cell


class _Line:
    """A file object for csv.writer whose `write` returns the line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def format_csv(rows: Iterable[list[Any]]) -> Iterator[str]:
    """Yield the lines of the file. Without the byte order mark, spreadsheets misread Thai."""
    writer = csv.writer(_Line())
    yield "\ufeff"
    for row in rows:
        yield writer.writerow(map(escape_cell, row))
