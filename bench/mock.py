"""A fast provider on loopback: JSON and SSE for /v1/chat/completions, in a process of its own.

    .venv/bin/python -m bench.mock --port 9000

The question itself says how it is answered, whatever gateway it passes: `say delay=20 gap=50 chunks=100`, in
milliseconds. Each chunk says when it was sent, and the first one also when its request came: `@came/sent`, `@sent`,
by the clock that all processes of a machine share.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bench import ports
from smartspec.local.site import Child, Site

ASKED = re.compile(rb"say delay=(\d+) gap=(\d+) chunks=(\d+)")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM = re.compile(rb'"stream": ?true')
USAGE = re.compile(rb'"include_usage": ?true')
MAX_CHUNKS, MAX_BYTES = 100_000, 1 << 20
START_SECONDS = 15

_COUNTS = b'"usage":{"prompt_tokens":12,"completion_tokens":48,"total_tokens":60}'
_ANSWER = (
    b'{"id":"chatcmpl-mock","object":"chat.completion","created":1750000000,"model":"bench","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"It is a plausible answer, of a usual length, to a question that nobody '
    b'asked, and it says nothing."},"finish_reason":"stop"}],' + _COUNTS + b"}"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ANSWER),
    _ANSWER,
)
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1750000000,"model":"bench",%s}\n\n'
_SAID = _CHUNK % b'"choices":[{"index":0,"delta":{%s"content":"@%s "},"finish_reason":null}]'
_STOP = _CHUNK % b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]'
_BILL = _CHUNK % (b'"choices":[],' + _COUNTS)


def question(*, delay: int = 0, gap: int = 0, chunks: int = 0) -> str:
    """What to ask for an answer like that."""
    return f"say delay={delay} gap={gap} chunks={chunks}"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection, kept alive; one answer at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting = b""
        self.answering = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        if not self.answering:
            self._answer_next()

    def _answer_next(self) -> None:
        """Answer the first request that is there, if it is there entirely."""
        self.answering = False
        end = self.waiting.find(b"\r\n\r\n") + 4
        if end < 4 or len(self.waiting) > MAX_BYTES:
            return
        length = LENGTH.search(self.waiting, 0, end)
        whole = end + (int(length[1]) if length else 0)
        if len(self.waiting) >= whole:
            request, self.waiting = self.waiting[:whole], self.waiting[whole:]
            self.answering = True
            self._answer(request, end)

    def _answer(self, request: bytes, end: int) -> None:
        came = time.monotonic()
        if not request.startswith(b"POST"):
            return self._finish(HEALTHY)
        asked = ASKED.search(request, end)
        delay, gap, chunks = (int(number) for number in asked.groups()) if asked else (0, 0, 1)
        if not STREAM.search(request, end):
            return self._later(delay, self._finish, ANSWER)
        self.gap, self.left = gap / 1000, min(chunks, MAX_CHUNKS)
        self.bill = _framed(_BILL) if USAGE.search(request, end) else b""
        return self._later(delay, self._begin, came)

    def _begin(self, came: float) -> None:
        self.next = time.monotonic()
        times = b"%.6f/%.6f" % (came, self.next)
        self.transport.write(HEAD + _framed(_SAID % (b'"role":"assistant",', times)))
        self._go_on()

    def _go_on(self) -> None:
        """So many chunks, each at its time and not a gap after the last one."""
        self.left -= 1
        self.next += self.gap
        if self.left > 0:
            self.timer = self.loop.call_at(self.next, self._say)
        else:
            self._finish(_framed(_STOP) + self.bill + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _say(self) -> None:
        self.transport.write(_framed(_SAID % (b"", b"%.6f" % time.monotonic())))
        self._go_on()

    def _finish(self, data: bytes) -> None:
        self.transport.write(data)
        self._answer_next()

    def _later(self, milliseconds: int, act: Callable[..., None], *given: bytes | float) -> None:
        if milliseconds:
            self.timer = self.loop.call_later(milliseconds / 1000, act, *given)
        else:
            act(*given)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


@contextmanager
def running(site: Site, port: int) -> Iterator[Child]:
    """The mock, listening at this port until the end of the block."""
    with site.child(f"mock {port}", "-m", "bench.mock", "--port", str(port)) as child:
        ports.wait_for(port, child.check, START_SECONDS)
        yield child


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))
