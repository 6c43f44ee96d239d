"""Leaves data URLs out of generated text: an image in base64 is no text, whatever its size.

Source: RFC 2397. Only URLs with `;base64` are left out; the text in others is text.
"""

import re

START = "data:"
# A piece may end within the start of a URL. No start ends with another one but itself.
STARTS = tuple(START[:size] for size in range(1, len(START) + 1))
HEADER = re.compile(r"data:[^,\s\"'<>()]{0,256}?;base64,", re.IGNORECASE)
UNFINISHED_HEADER = re.compile(r"data:[^,\s\"'<>()]{0,256}\Z")
# With the signs of base64url, of escapes in JSON and in URLs, and of wrapped lines.
BODY = re.compile(r"[A-Za-z0-9+/=_%\\\r\n-]*")


def count_bytes(text: str) -> int:
    """The size of a text in UTF-8. It may contain lone surrogates."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


class DataUrlFilter:
    """Counts the bytes of a text that comes in pieces, without those of its data URLs."""

    def __init__(self) -> None:
        self.has_found = False  # a data URL
        self._held = ""  # the end of the last piece, if it may be the start of a URL
        self._is_inside = False

    @property
    def is_idle(self) -> bool:
        """Whether the next piece needs no filter unless it contains a URL itself."""
        return not (self._held or self._is_inside)

    def count(self, piece: str) -> int:
        """The bytes of text in this piece, and in what was held of the one before."""
        text, self._held, size = self._held + piece, "", 0
        while text:
            if self._is_inside:
                text = text[BODY.match(text).end() :]  # type: ignore[union-attr]
                self._is_inside = not text
                continue
            before, found, after = text.partition(START)
            size += count_bytes(before)
            text = found + after
            if header := HEADER.match(text):
                self.has_found = self._is_inside = True
                text = text[header.end() :]
            elif not found:
                self._held = max(
                    (one for one in STARTS if before.endswith(one)), default="", key=len
                )
                size -= len(self._held)
            elif UNFINISHED_HEADER.match(text):
                self._held, text = text, ""
            else:
                size, text = size + len(START), after
        return size
