"""Inflates a body in the gzip or deflate coding while it comes (RFC 9110 §8.4.1, RFC 1951, 1952).

Requests ask for no coding, but some providers and proxies compress all the same. Pure.
"""

import zlib

from llmproxy.http1.framing import Body, Malformed

GZIP, PLAIN = ("gzip", "x-gzip"), ("", "identity", "none", "utf-8")
GZIP_MAGIC = b"\x1f\x8b"
LEAST_BYTES = 6  # to tell how a body is compressed
# How a body begins that is not compressed, although its header says so.
PLAIN_STARTS = (
    *(
        b'{"',
        b"{}",
        b"{ ",
        b"{\n",
        b"{\r",
        b"[{",
        b"[ ",
        b"[\n",
        b"[]",
        b"\n",
        b"\r\n",
        b"<!",
        b"<h",
    ),
    *(b"data:", b"event:", b"id:", b"retry:", b": ", b":\n", b"\xef\xbb\xbf"),
)
WITH_HEADER, RAW = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS  # gzip or zlib by the header; without one
MAX_INFLATED_BYTES = 32 * 1024 * 1024  # of one read, which has at most 64 KiB


class Inflated:
    """A body whose content is inflated. It ends where the body that it wraps ends."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._inflate: zlib._Decompress | None = None
        self._is_plain = False  # the header lied
        self._start = b""  # the first bytes, if they are too few to tell

    @property
    def is_over(self) -> bool:
        return self._body.is_over

    @property
    def has_extra_bytes(self) -> bool:
        return self._body.has_extra_bytes

    def feed(self, data: bytes) -> bytes:
        """The content in the next bytes. Raises Malformed."""
        content = self._body.feed(data)
        return content if self._is_plain or not content else self._decode(content)

    def end(self) -> None:
        """Note that the connection has ended. Raises Malformed if the body is not over."""
        self._body.end()

    def _decode(self, data: bytes) -> bytes:
        if self._inflate is None:
            data, self._start = self._start + data, b""
            if len(data) < LEAST_BYTES and not self._body.is_over:
                self._start = data
                return b""
            self._inflate = self._choose(data)
            if self._inflate is None:
                self._is_plain = True
                return data
        pieces: list[bytes] = []
        while data:
            if self._inflate.eof:  # a gzip body may have several members
                self._inflate = zlib.decompressobj(WITH_HEADER)
            data = self._inflate_more(self._inflate, data, pieces)
        return b"".join(pieces)

    @staticmethod
    def _inflate_more(inflate: "zlib._Decompress", data: bytes, pieces: list[bytes]) -> bytes:
        """Inflate into `pieces`; return the bytes after the end of the compressed data."""
        try:
            pieces.append(inflate.decompress(data, MAX_INFLATED_BYTES))
        except zlib.error as error:
            raise Malformed(f"this is not compressed: {error}") from error
        if inflate.unconsumed_tail or sum(map(len, pieces)) > MAX_INFLATED_BYTES:
            raise Malformed("the body inflates to too many bytes")
        return inflate.unused_data.lstrip(b"\0")  # a gzip body may be padded (RFC 1952 §2.2)

    @staticmethod
    def _choose(data: bytes) -> "zlib._Decompress | None":
        """How this body is compressed; None if it is not, although its header says so."""
        if data.startswith(PLAIN_STARTS):
            return None
        # A header of zlib names the method 8, and is divisible by 31.
        is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.decompressobj(WITH_HEADER if is_zlib or data.startswith(GZIP_MAGIC) else RAW)


def unwrap(body: Body, coding: str) -> "Body | Inflated":
    """The body, inflated if its coding says so. Raises Malformed for a coding that is not known."""
    codings = [name for one in coding.split(",") if (name := one.strip().lower()) not in PLAIN]
    if not codings:
        return body
    if len(codings) > 1 or codings[0] not in (*GZIP, "deflate"):
        raise Malformed(f"the content coding {coding} is not known")
    return Inflated(body)
