"""Texts in pieces, as streams send them."""

from collections.abc import Iterator

PIECE = 16  # characters


def cut(text: str) -> Iterator[str]:
    """Yield the text in pieces."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]
