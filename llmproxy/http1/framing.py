"""An HTTP/1.1 answer: its headers, and where its body ends. Bytes in, the body's bytes out. Pure.

Source: RFC 9112, sections 4, "Status Line", 5, "Field Syntax", 6.3, "Message Body Length", and 7.1, "Chunked Transfer
Coding".
"""

import re
from dataclasses import dataclass

STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
END = re.compile(rb"\r?\n\r?\n")
FOLD = re.compile(rb"\r?\n[ \t]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([^\r\n\0]*)\r?\Z")
LONGEST_HEAD = 64 * 1024
WITHOUT_BODY = (204, 304)
SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
LONGEST_LINE = 4096


class Malformed(ValueError):
    """The bytes are not what the coding says."""


class Chunked:
    """The chunked coding; trailers are read and dropped."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_more = False  # something came after it
        self._left = 0  # of the chunk under way, with its line end
        self._in_trailers = False
        self._pending = b""

    def feed(self, data: bytes) -> bytes:
        """Raises Malformed."""
        if self._pending:
            data, self._pending = self._pending + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_over:
            if self._in_trailers:
                at = self._trailer(data, at)
            elif self._left:
                at = self._piece(data, at, pieces)
            else:
                at = self._size(data, at)
        self.has_more = self.has_more or at < len(data)
        return b"".join(pieces)

    def end(self) -> None:
        """The connection has ended. Raises Malformed where the body had not."""
        if not self.is_over:
            raise Malformed("the connection ended within a chunk, or before the last one")

    def _piece(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        before, end = self._left, min(at + self._left, len(data))
        self._left -= end - at
        content = max(
            end - max(2 - self._left, 0), at
        )  # the last two bytes of a chunk are its line end
        if content > at:
            pieces.append(data[at:content])
        if data[content:end] != b"\r\n"[2 - min(before, 2) : 2 - min(self._left, 2)]:
            raise Malformed("a chunk does not end where it said")
        return end

    def _size(self, data: bytes, at: int) -> int:
        line = SIZE.match(data, at)
        if line is None:
            return self._more(data, at)
        size = int(line[1], 16)
        self._in_trailers = size == 0
        self._left = size + 2 if size else 0
        return line.end()

    def _trailer(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            return self._more(data, at)
        self.is_over = not data[at:end].strip(b"\r")
        return end + 1

    def _more(self, data: bytes, at: int) -> int:
        """Keep what may become a line."""
        if len(data) - at > LONGEST_LINE or b"\n" in data[at:]:
            raise Malformed("this is not the size of a chunk")
        self._pending = data[at:]
        return len(data)


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


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, whose names are in lower case."""

    status: int
    headers: dict[str, str]
    is_kept: bool  # the connection lasts longer than the answer

    @staticmethod
    def end(data: bytes) -> int | None:
        """Where the body begins; None if that has not come yet. Raises Malformed."""
        if found := END.search(data):
            return found.end()
        if len(data) > LONGEST_HEAD:
            raise Malformed("the headers do not end")
        return None

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Raises Malformed."""
        if (line := STATUS.match(data)) is None:
            raise Malformed("this is not a status line of HTTP/1.1")
        headers: dict[str, str] = {}
        for field in FOLD.sub(b" ", data[line.end() :]).split(
            b"\n"
        ):  # not at what else some call the end of a line
            if not field.strip(b"\r"):
                continue
            if (found := FIELD.match(field)) is None:
                raise Malformed("this is not a header")
            name, value = found[1].decode().lower(), found[2].decode("latin-1").strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        wants_end = "close" in headers.get("connection", "").lower()
        is_certain = not {"transfer-encoding", "content-length"} <= headers.keys()
        return cls(int(line[2]), headers, is_kept=line[1] == b"1" and is_certain and not wants_end)

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
