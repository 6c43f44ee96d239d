"""A fast provider on loopback: JSON and SSE for /v1/chat/completions, in its own process.

    .venv/bin/python -m bench.mock --port 9000

The prompt sets the timing of the response, so it passes any gateway: `say delay=20 gap=50
chunks=100`, in milliseconds. Each chunk contains the time at which it was sent, `@sent`, and the
first chunk also the time at which its request arrived, `@came/sent`. The times are those of the
monotonic clock, which all processes of a machine share.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bench import ports
from smartspec.local.site import Child, Site

TIMING = re.compile(rb"say delay=(\d+) gap=(\d+) chunks=(\d+)")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM = re.compile(rb'"stream": ?true')
USAGE = re.compile(rb'"include_usage": ?true')
MAX_CHUNKS, MAX_BYTES = 100_000, 1 << 20
START_SECONDS = 15

_COUNTS = b'"usage":{"prompt_tokens":12,"completion_tokens":48,"total_tokens":60}'
_ANSWER = (
    b'{"id":"chatcmpl-mock","object":"chat.completion","created":1750000000,"model":"bench",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"It is a plausible answer, of '
    b'a usual length, to a question that nobody asked, and it says nothing."},'
    b'"finish_reason":"stop"}],' + _COUNTS + b"}"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ANSWER),
    _ANSWER,
)
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_CHUNK = (
    b'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1750000000,'
    b'"model":"bench",%s}\n\n'
)
_CONTENT = _CHUNK % b'"choices":[{"index":0,"delta":{%s"content":"@%s "},"finish_reason":null}]'
_STOP = _CHUNK % b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]'
_USAGE_CHUNK = _CHUNK % (b'"choices":[],' + _COUNTS)


def make_prompt(*, delay: int = 0, gap: int = 0, chunks: int = 0) -> str:
    """Return the prompt for a response with this timing in milliseconds."""
    return f"say delay={delay} gap={gap} chunks={chunks}"


def _frame(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One keep-alive connection, which serves one request at a time."""

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
        """Answer the first request in the buffer, if it is complete."""
        self.answering = False
        end = self.waiting.find(b"\r\n\r\n") + 4
        if end < 4 or len(self.waiting) > MAX_BYTES:
            return
        length = LENGTH.search(self.waiting, 0, end)
        size = end + (int(length[1]) if length else 0)
        if len(self.waiting) >= size:
            request, self.waiting = self.waiting[:size], self.waiting[size:]
            self.answering = True
            self._answer(request, end)

    def _answer(self, request: bytes, end: int) -> None:
        came = time.monotonic()
        if not request.startswith(b"POST"):
            return self._finish(HEALTHY)
        timing = TIMING.search(request, end)
        delay, gap, chunks = (int(number) for number in timing.groups()) if timing else (0, 0, 1)
        if not STREAM.search(request, end):
            return self._call_later(delay, self._finish, ANSWER)
        self.gap, self.left = gap / 1000, min(chunks, MAX_CHUNKS)
        self.usage = _frame(_USAGE_CHUNK) if USAGE.search(request, end) else b""
        return self._call_later(delay, self._begin, came)

    def _begin(self, came: float) -> None:
        self.next = time.monotonic()
        times = b"%.6f/%.6f" % (came, self.next)
        self.transport.write(HEAD + _frame(_CONTENT % (b'"role":"assistant",', times)))
        self._schedule_next()

    def _schedule_next(self) -> None:
        """Schedule the next chunk at its own time, so that delays do not add up."""
        self.left -= 1
        self.next += self.gap
        if self.left > 0:
            self.timer = self.loop.call_at(self.next, self._send_chunk)
        else:
            self._finish(_frame(_STOP) + self.usage + _frame(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _send_chunk(self) -> None:
        self.transport.write(_frame(_CONTENT % (b"", b"%.6f" % time.monotonic())))
        self._schedule_next()

    def _finish(self, data: bytes) -> None:
        self.transport.write(data)
        self._answer_next()

    def _call_later(
        self, milliseconds: int, act: Callable[..., None], *arguments: bytes | float
    ) -> None:
        if milliseconds:
            self.timer = self.loop.call_later(milliseconds / 1000, act, *arguments)
        else:
            act(*arguments)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


@contextmanager
def run_mock(site: Site, port: int) -> Iterator[Child]:
    """Run the mock, which listens at this port until the end of the block."""
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
