"""An HTTP/1.1 answer: its headers, and where its body ends. Bytes in, the body's bytes out. Pure.

llhttp, which Node.js reads HTTP with, parses the syntax, through httptools. Which answers have a certain end is decided
here (docs/decisions/0019). Source: RFC 9112, sections 4, "Status Line", 5, "Field Syntax", 6.3, "Message Body Length",
and 7.1, "Chunked Transfer Coding".
"""

import re
from dataclasses import dataclass

from httptools import HttpParserError, HttpResponseParser

VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
BLANK_LINES = (b"\n\r\n", b"\n\n")  # with the end of the line before
LONE_LF = re.compile(rb"(?<!\r)\n")
FOLD = re.compile(rb"\r?\n[ \t]+")
SPACED_NAME = re.compile(rb"^([^\s:]+)[ \t]+:", re.MULTILINE)
WITHOUT_BODY = (204, 304)
LONGEST_HEAD = 64 * 1024
LONGEST_PAUSE = 64 * 1024  # bytes of a chunked body in a row that are no content
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


class Malformed(ValueError):
    """The bytes are not what the coding says."""


class _FoundChunks:
    """What llhttp calls while it reads a chunked body."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.is_over = False

    def on_message_complete(self) -> None:
        self.is_over = True


class Chunked:
    """The chunked coding; trailers are read and dropped."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_more = False  # something came after it
        self._found = _FoundChunks()
        self._parser = HttpResponseParser(self._found)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._parser.feed_data(CHUNKED_HEAD)
        self._last_bytes = b""
        self._pause = 0

    def feed(self, data: bytes) -> bytes:
        """Raises Malformed."""
        if self.is_over:
            self.has_more = self.has_more or bool(data)
            return b""
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        self._parse(data)
        content = b"".join(self._found.pieces)
        self._found.pieces.clear()
        self._pause = 0 if content else self._pause + len(data)
        if self._pause > LONGEST_PAUSE:
            raise Malformed("neither content nor the end of the body comes")
        return content

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._found.is_over:
                raise Malformed(f"this is not a chunked body: {error}") from error
            self.has_more = (
                True  # llhttp refuses what comes after an answer with "Connection: close"
            )
        if self._found.is_over:
            self.is_over = True
            # llhttp skips empty lines there. The body itself ends in one, after the end of a line that is not empty.
            self.has_more = self.has_more or len(self._last_bytes.rstrip(b"\r\n")) != 1

    def end(self) -> None:
        """The connection has ended. Raises Malformed where the body had not."""
        if not self.is_over:
            raise Malformed("the connection ended within a chunk, or before the last one")


class Sized:
    """A body of `length` bytes, or, with None, all until the connection ends."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.is_over = length == 0
        self.has_more = length is None  # such a connection ends with it

    def feed(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        self.has_more = len(data) > self._left
        data = data[: self._left]
        self._left -= len(data)
        self.is_over = self._left == 0
        return data

    def end(self) -> None:
        """The connection has ended. Raises Malformed where the body had not."""
        if self._left:
            raise Malformed(f"{self._left} bytes are missing")
        self.is_over = True


Body = Chunked | Sized


class _FoundFields:
    """What llhttp calls while it reads a head."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.is_complete = False

    def on_header(self, dashed: bytes, value: bytes) -> None:
        name, text = dashed[1:].decode().lower(), value.decode("latin-1").strip(" \t")
        self.headers[name] = f"{self.headers[name]}, {text}" if name in self.headers else text

    def on_headers_complete(self) -> None:
        self.is_complete = True


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, whose names are in lower case."""

    status: int
    headers: dict[str, str]
    is_kept: bool  # the connection lasts longer than the answer

    @staticmethod
    def end(data: bytes) -> int | None:
        """Where the body begins; None if that has not come yet. Raises Malformed."""
        if ends := [at + len(blank) for blank in BLANK_LINES if (at := data.find(blank)) >= 0]:
            return min(ends)
        if len(data) > LONGEST_HEAD:
            raise Malformed("the headers do not end")
        return None

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Raises Malformed."""
        has_lone_cr = data.count(b"\r") != data.count(b"\r\n")  # llhttp skips one before a value
        if not data.startswith(VERSIONS) or b"\0" in data or has_lone_cr:
            raise Malformed("this is not a head of HTTP/1.1")
        try:
            status, headers = _read_head(data, lenient_headers=False)
        except Malformed:
            status, headers = _read_head(_mended(data), lenient_headers=True)
        wants_end = "close" in headers.get("connection", "").lower()
        is_certain = not {"transfer-encoding", "content-length"} <= headers.keys()
        return cls(
            status, headers, is_kept=data.startswith(b"HTTP/1.1") and is_certain and not wants_end
        )

    @property
    def is_final(self) -> bool:
        """Whether this is the answer, and not news of it (RFC 9110 §15.2)."""
        return self.status >= 200 or self.status == 101

    def body(self) -> Body:
        """Raises Malformed, where its end is not certain."""
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self.status in WITHOUT_BODY:
            return Sized(0)
        if coding is not None:
            if coding.lower() != "chunked":
                raise Malformed(f"the coding {coding} is not known")
            return Chunked()
        if length is None:
            return Sized(None)
        lengths = {one.strip() for one in length.split(",")}
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,15}", length := lengths.pop()):
            raise Malformed(f"a body of {length} bytes is none")
        return Sized(int(length))


def _mended(head: bytes) -> bytes:
    """The head without what RFC 9112 lets a recipient understand all the same.

    That is a line that ends without CR (section 2.2), spaces before a colon (5.1) and a folded line (5.2). The first
    field cannot be folded: it has nothing before it that it could belong to.
    """
    line, _, fields = head.partition(b"\n")
    fields = SPACED_NAME.sub(rb"\1:", FOLD.sub(b" ", fields))
    return LONE_LF.sub(b"\r\n", line + b"\n" + fields)


def _read_head(head: bytes, *, lenient_headers: bool) -> tuple[int, dict[str, str]]:
    """The status and the headers. Leniency lets control characters pass. Raises Malformed.

    llhttp gets each name with a dash before it, which hides what the field means. Else it would refuse a length that is
    repeated, and one beside a coding; `Head` decides about those.
    """
    found = _FoundFields()
    parser = HttpResponseParser(found)
    parser.set_dangerous_leniencies(lenient_headers=lenient_headers)
    try:
        parser.feed_data(head.removesuffix(b"\r\n").replace(b"\n", b"\n-")[:-1] + b"\r\n")
    except HttpParserError as error:
        if not found.is_complete:  # else it is the stop after a 101
            raise Malformed(f"this is not a head of HTTP/1.1: {error}") from error
    status = parser.get_status_code()
    if not found.is_complete or status < 100 or "" in found.headers:
        raise Malformed("this is not a head of HTTP/1.1")
    return status, found.headers
