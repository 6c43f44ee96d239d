"""The headers of an HTTP/1.1 response, and where its body ends. Pure: bytes in, content out.

llhttp, the parser of Node.js, parses the syntax, through httptools. This module decides which
responses have a certain end (docs/decisions/0019). Source: RFC 9112, sections 4, "Status Line", 5,
"Field Syntax", 6.3, "Message Body Length", and 7.1, "Chunked Transfer Coding".
"""

import re
from dataclasses import dataclass

from httptools import HttpParserError, HttpResponseParser

VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
BLANK_LINES = (b"\n\r\n", b"\n\n")  # each with the end of the line before it
LONE_LF = re.compile(rb"(?<!\r)\n")
FOLD = re.compile(rb"\r?\n[ \t]+")
SPACED_NAME = re.compile(rb"^([^\s:]+)[ \t]+:", re.MULTILINE)
WITHOUT_BODY = (204, 304)
LONGEST_HEAD = 64 * 1024  # bytes
MAX_BYTES_WITHOUT_CONTENT = 64 * 1024  # in a row, in a chunked body
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


class Malformed(ValueError):
    """The bytes break the rules of their coding."""


class _ChunkCollector:
    """The callbacks that llhttp calls while it reads a chunked body."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.is_over = False

    def on_message_complete(self) -> None:
        self.is_over = True


class Chunked:
    """A body in the chunked coding. Trailers are read and dropped."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_extra_bytes = False  # after the end of the body
        self._collector = _ChunkCollector()
        self._parser = HttpResponseParser(self._collector)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._parser.feed_data(CHUNKED_HEAD)
        self._last_bytes = b""
        self._bytes_without_content = 0

    def feed(self, data: bytes) -> bytes:
        """The content in the next bytes. Raises Malformed."""
        if self.is_over:
            self.has_extra_bytes = self.has_extra_bytes or bool(data)
            return b""
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        self._parse(data)
        content = b"".join(self._collector.pieces)
        self._collector.pieces.clear()
        self._bytes_without_content = 0 if content else self._bytes_without_content + len(data)
        if self._bytes_without_content > MAX_BYTES_WITHOUT_CONTENT:
            raise Malformed("neither content nor the end of the body comes")
        return content

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._collector.is_over:
                raise Malformed(f"this is not a chunked body: {error}") from error
            # llhttp refuses every byte after a response with "Connection: close".
            self.has_extra_bytes = True
        if self._collector.is_over:
            self.is_over = True
            # llhttp skips empty lines after the body. The body itself ends with one empty line,
            # after the end of a line that is not empty: more line ends than these are extra.
            has_extra_lines = len(self._last_bytes.rstrip(b"\r\n")) != 1
            self.has_extra_bytes = self.has_extra_bytes or has_extra_lines

    def end(self) -> None:
        """Note that the connection has ended. Raises Malformed if the body is not over."""
        if not self.is_over:
            raise Malformed("the connection ended within a chunk, or before the last one")


class Sized:
    """A body of `length` bytes; with None, all bytes until the connection ends."""

    def __init__(self, length: int | None) -> None:
        self._bytes_left = length
        self.is_over = length == 0
        self.has_extra_bytes = length is None  # the connection ends with such a body

    def feed(self, data: bytes) -> bytes:
        """The content in the next bytes."""
        if self._bytes_left is None:
            return data
        self.has_extra_bytes = len(data) > self._bytes_left
        data = data[: self._bytes_left]
        self._bytes_left -= len(data)
        self.is_over = self._bytes_left == 0
        return data

    def end(self) -> None:
        """Note that the connection has ended. Raises Malformed if the body is not over."""
        if self._bytes_left:
            raise Malformed(f"{self._bytes_left} bytes are missing")
        self.is_over = True


Body = Chunked | Sized


class _FieldCollector:
    """The callbacks that llhttp calls while it reads a head."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.is_complete = False

    def on_header(self, dashed: bytes, value: bytes) -> None:
        name, text = dashed[1:].decode().lower(), value.decode("latin-1").strip(" \t")
        self.headers[name] = f"{self.headers[name]}, {text}" if name in self.headers else text

    def on_headers_complete(self) -> None:
        self.is_complete = True


@dataclass(slots=True)
class Head:
    """The status and the headers of a response. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    is_reusable: bool  # the connection stays open after the response

    @staticmethod
    def find_end(data: bytes) -> int | None:
        """The index of the body's first byte; None if the head is not whole. Raises Malformed."""
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
            status, headers = _parse_head(data, lenient_headers=False)
        except Malformed:
            status, headers = _parse_head(_normalize(data), lenient_headers=True)
        is_closing = "close" in headers.get("connection", "").lower()
        is_certain = not {"transfer-encoding", "content-length"} <= headers.keys()
        is_reusable = data.startswith(b"HTTP/1.1") and is_certain and not is_closing
        return cls(status, headers, is_reusable=is_reusable)

    @property
    def is_final(self) -> bool:
        """Whether this is the final response, not an interim one (RFC 9110 §15.2)."""
        return self.status >= 200 or self.status == 101

    def body(self) -> Body:
        """The parser of the body. Raises Malformed if the end of the body is not certain."""
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


def _normalize(head: bytes) -> bytes:
    """Rewrite the irregularities that RFC 9112 allows a recipient to accept.

    These are a line that ends without CR (section 2.2), spaces before a colon (5.1) and a folded
    line (5.2). The first field cannot be folded, because there is no field before it.
    """
    line, _, fields = head.partition(b"\n")
    fields = SPACED_NAME.sub(rb"\1:", FOLD.sub(b" ", fields))
    return LONE_LF.sub(b"\r\n", line + b"\n" + fields)


def _parse_head(head: bytes, *, lenient_headers: bool) -> tuple[int, dict[str, str]]:
    """The status and the headers. Leniency accepts control characters in values. Raises Malformed.

    llhttp gets each name with a dash before it, so that it does not know what the field means.
    Otherwise it would refuse a repeated Content-Length, and one beside a Transfer-Encoding; `Head`
    decides about those.
    """
    collector = _FieldCollector()
    parser = HttpResponseParser(collector)
    parser.set_dangerous_leniencies(lenient_headers=lenient_headers)
    try:
        parser.feed_data(head.removesuffix(b"\r\n").replace(b"\n", b"\n-")[:-1] + b"\r\n")
    except HttpParserError as error:
        if not collector.is_complete:  # a complete head raises it after status 101
            raise Malformed(f"this is not a head of HTTP/1.1: {error}") from error
    status = parser.get_status_code()
    if not collector.is_complete or status < 100 or "" in collector.headers:
        raise Malformed("this is not a head of HTTP/1.1")
    return status, collector.headers
