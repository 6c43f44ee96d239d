"""A client for thousands of concurrent completions on raw asyncio sockets, which cost little CPU.

It reads the times in the mock's chunks as they arrive (bench/mock.py), and keeps only the end of
each stream.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"
TIMES = re.compile(rb"@(\d+\.\d+)(?:/(\d+\.\d+))? ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CREDITS = re.compile(rb'"_credits": ?\{"used": ?(\d+)')
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]"
ERROR = re.compile(rb'"error" ?:')
KEPT = 4096  # Bytes that are kept of the end of a response.

WHOLE, REFUSED, FAILED, CUT = "whole", "refused", "error event", "cut off"
SILENT, LATE = "ended without an end mark", "no answer in time"


def build_request(
    host: str, path: str, headers: Mapping[str, str], text: str, *, stream: bool, **more: object
) -> bytes:
    """Return the bytes of one request for a completion."""
    request_body: dict[str, object] = {
        "model": "bench",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 4096,
    }
    request_body |= {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    body = json.dumps(request_body | more)
    lines = {
        "Host": host,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n{body}".encode()


@dataclass
class Count:
    """What all streams of a run have received until now."""

    open: int = 0  # Connections.
    begun: int = 0  # Streams between their first token and their end.
    chunks: int = 0
    # Seconds from the sending of each chunk to its arrival, recorded while `recording`.
    delays: list[float] = field(default_factory=list)
    recording: bool = False


class Exchange(asyncio.Protocol):
    """One request and its response."""

    def __init__(self, sent: bytes, count: Count, began: float) -> None:
        self.sent, self.count, self.began = sent, count, began
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.head = self.tail = b""
        self.missing: int | None = None  # Bytes of a body of known length.
        # Seconds to the first token, without those that the mock took.
        self.added: float | None = None
        self.end: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.count.open += 1
        transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self.status:
            data = self._read_head(data)
        if self.missing is not None:
            self.missing -= len(data)
        self.tail += data
        self._take_times(now)
        if self.missing == 0 or (self.missing is None and self.status and self.tail.endswith(LAST)):
            self._end(self._classify())
        self.tail = self.tail[-KEPT:]

    def connection_lost(self, error: Exception | None) -> None:
        self.count.open -= 1
        self._end(CUT)

    def give_up(self) -> None:
        self._end(LATE)

    def _read_head(self, data: bytes) -> bytes:
        """Add the data to the head; return the part that belongs to the body."""
        self.head += data
        end = self.head.find(HEAD_END)
        if end < 0:
            return b""
        self.head, body = self.head[: end + 4], self.head[end + 4 :]
        self.status = int(self.head[9:12])
        length = LENGTH.search(self.head)
        self.missing = int(length[1]) if length and not CHUNKED.search(self.head) else None
        return body

    def _take_times(self, now: float) -> None:
        """Read the times of all complete chunks in the tail, and remove these chunks."""
        used = 0
        for match in TIMES.finditer(self.tail):
            used = match.end()
            self.count.chunks += 1
            if match[2]:
                self.count.begun += 1
                self.added = now - self.began - (float(match[2]) - float(match[1]))
            elif self.count.recording:
                self.count.delays.append(now - float(match[1]))
        if used:
            self.tail = self.tail[used:]

    def _classify(self) -> str:
        if self.status != 200:
            return REFUSED
        if ERROR.search(self.tail):
            return FAILED
        return WHOLE if DONE in self.tail or self.missing == 0 else SILENT

    def _end(self, how: str) -> None:
        if not self.ended.done():
            self.end = time.monotonic()
            self.count.begun -= self.added is not None
            self.ended.set_result(how)
            self.transport.close()


@dataclass(frozen=True)
class Answer:
    """How an exchange ended, `seconds` after it began. `added` is None unless a stream began."""

    how: str
    status: int
    began: float
    seconds: float
    added: float | None
    head: bytes
    tail: bytes

    @property
    def name(self) -> str:
        """The generation id that the gateway gave the completion; empty if it gave none."""
        match = re.search(rb"\r\nx-generation-id: *(\S+)", self.head, re.IGNORECASE)
        return match[1].decode() if match else ""

    @property
    def credits(self) -> int | None:
        """The credits that the gateway reports in the response, or None."""
        match = CREDITS.search(self.tail)
        return int(match[1]) if match else None


async def send(port: int, request: bytes, count: Count, seconds: float) -> Answer:
    """Send one request on a new connection and return the end within this many seconds."""
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            _, exchange = await loop.create_connection(
                lambda: Exchange(request, count, began), "127.0.0.1", port
            )
    except TimeoutError:
        return Answer(LATE, 0, began, time.monotonic() - began, None, b"", b"")
    except OSError:
        return Answer(CUT, 0, began, time.monotonic() - began, None, b"", b"")
    timer = loop.call_later(seconds, exchange.give_up)
    how = await exchange.ended
    timer.cancel()
    return Answer(
        how,
        exchange.status,
        began,
        (exchange.end or 0) - began,
        exchange.added,
        exchange.head,
        exchange.tail,
    )


async def keep_open(
    callers: int, send_once: Callable[[], Awaitable[Answer]], until: float, apart: float
) -> list[Answer]:
    """Let callers send requests one after the other until that moment; return all answers.

    Each caller begins `apart` seconds after the previous one.
    """

    async def call(number: int) -> list[Answer]:
        await asyncio.sleep(number * apart)
        answers = [await send_once()]
        while time.monotonic() < until:
            answers.append(await send_once())
        return answers

    return [
        answer for answers in await asyncio.gather(*map(call, range(callers))) for answer in answers
    ]
