"""What may stand in a cell of a CSV file that somebody opens with a spreadsheet."""

import re
from typing import Any

# Text that begins so would be calculated, or would lose its apostrophe.
UNSAFE = ("=", "+", "-", "@", "\t", "\r", "'")
NUMBER = re.compile(r"-\d+(\.\d+)?\Z", re.ASCII)


def escape_cell(cell: Any) -> Any:
    """The cell, with an apostrophe in front of text that a spreadsheet would change.

    A negative number stays one. One apostrophe taken off again gives back the text, as
    tools/verify_statement.py does.
    """
    if isinstance(cell, str) and cell.startswith(UNSAFE) and not NUMBER.match(cell):
        return f"'{cell}"
    return cell
