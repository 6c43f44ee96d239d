"""Escapes the cells of CSV files that are opened in a spreadsheet."""

import re
from typing import Any

# A spreadsheet would evaluate a text that begins with one of these, or drop its apostrophe.
UNSAFE = ("=", "+", "-", "@", "\t", "\r", "'")
NUMBER = re.compile(r"-\d+(\.\d+)?\Z", re.ASCII)


def escape_cell(cell: Any) -> Any:
    """Return the cell, with an apostrophe before a text that a spreadsheet would change.

    Negative numbers stay unchanged. Removing one apostrophe restores the text, as
    tools/verify_statement.py does.
    """
    if isinstance(cell, str) and cell.startswith(UNSAFE) and not NUMBER.match(cell):
        return f"'{cell}"
    return cell
