"""The names of what a caller sent and no provider gets: for a response header and the receipt.

A name is a parameter (`service_tier`), or a part with its place and type (`tools.3 (web_search)`).
"""

from collections.abc import Iterable

MAX_NAMES = 24
MAX_NAME_LENGTH = 64


def list_names(names: Iterable[str]) -> list[str]:
    """Return each name once, as printable ASCII without commas; of very many, only the first.

    Callers choose the names of unknown parameters, and may send thousands of them.
    """
    distinct = list(dict.fromkeys(map(_clean, names)))
    left_out = len(distinct) - MAX_NAMES
    return [*distinct[:MAX_NAMES], *([f"and {left_out} more"] if left_out > 0 else [])]


def _clean(name: str) -> str:
    safe = name.encode("unicode_escape").decode().replace(",", "\\x2c")
    return safe if len(safe) <= MAX_NAME_LENGTH else f"{safe[: MAX_NAME_LENGTH - 3]}..."
