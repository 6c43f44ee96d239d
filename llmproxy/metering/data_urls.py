"""Leaves data URLs out of generated text: an image in base64 is no text, whatever its size.

Source: RFC 2397. Only URLs with `;base64` are left out; the text in others is text.
"""

import re

START, BASE64 = "data:", ";base64,"
# A piece may end within the start of a URL.
STARTS = tuple(START[:size] for size in range(1, len(START) + 1))
MAX_TYPE = 256  # characters between `data:` and `;base64,`
TYPE = re.compile(r"[^,\s\"'<>()]*\Z")
# With the signs of base64url, of escapes in JSON and in URLs, and of wrapped lines.
BODY = re.compile(r"[A-Za-z0-9+/=_%\\\r\n-]*")


def count_bytes(text: str) -> int:
    """The size of a text in UTF-8. It may contain lone surrogates."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


class DataUrlFilter:
    """Counts the bytes of a text that comes in pieces, without those of its data URLs.

    The time is linear in the text: the search is for `;base64,`, which is rare, not for `data:`.
    """

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
        text, self._held = self._held + piece, ""
        size, begin = 0, self._skip_body(text, 0) if self._is_inside else 0
        search = begin
        while (found := text.find(BASE64, search)) >= 0:
            start = _find_start(text, begin, found)
            search = found + len(BASE64)
            if start >= 0:
                self.has_found = True
                size += count_bytes(text[begin:start])
                begin = search = self._skip_body(text, search)
        end = len(text) if self._is_inside else _find_unfinished(text, begin)
        self._held = text[end:]
        return size + count_bytes(text[begin:end])

    def _skip_body(self, text: str, begin: int) -> int:
        """The end of the base64 that begins here; it may go on in the next piece."""
        match = BODY.match(text, begin)
        end = match.end() if match else begin
        self._is_inside = end == len(text)
        return end


def _find_start(text: str, begin: int, end: int) -> int:
    """Where the URL begins of which this is the end of its type; -1 if it is none."""
    start = text.rfind(START, max(begin, end - MAX_TYPE - len(START)), end)
    return start if start >= 0 and TYPE.match(text[start + len(START) : end]) else -1


def _find_unfinished(text: str, begin: int) -> int:
    """Where a URL may begin whose type is not complete; the end of the text if none may."""
    if (start := _find_start(text, begin, len(text))) >= 0:
        return start
    held = next((one for one in STARTS if text.endswith(one)), "")
    return max(len(text) - len(held), begin)
