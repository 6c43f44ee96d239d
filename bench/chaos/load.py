"""Callers who send one request after the other, streams and JSON, each with a timeout."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count
from random import Random

from bench import mock, streams
from bench.gateway.targets import PATH
from bench.streams import WHOLE, Answer, Count

GAP = 100  # Milliseconds between chunks.
CHUNKS = (10, 60)  # Of a stream, which takes one to six seconds.
RETRY_SECONDS = 0.5  # Before a caller whose request failed sends the next one.


class Load:
    """The callers, in their own thread. The main thread starts the processes that are killed."""

    def __init__(self, port: int, tokens: list[str], *, patience: float, seed: int) -> None:
        self.port, self.tokens, self.patience = port, tokens, patience
        self.random = Random(seed)
        self.turn = count()
        self.count = Count()
        self.streams: list[Answer] = []
        self.json: list[Answer] = []
        self.until = 0.0
        self.done = False
        self.thread: threading.Thread | None = None

    def start(self, streaming: int, asking: int, seconds: float) -> None:
        """Start this many callers, who send no new request after `seconds`."""
        self.until = time.monotonic() + seconds
        work = self._all(streaming, asking)
        self.thread = threading.Thread(target=asyncio.run, args=(work,), daemon=True)
        self.thread.start()

    def wait(self) -> bool:
        """Wait until every caller has its response or gave up; False if that takes too long."""
        if self.thread:
            self.thread.join(max(self.until - time.monotonic(), 0) + self.patience + 10)
        return self.done

    def answers(self) -> Iterator[Answer]:
        yield from self.streams
        yield from self.json

    async def _all(self, streaming: int, asking: int) -> None:
        callers = [self._call(self.streams, stream=True) for _ in range(streaming)]
        callers += [self._call(self.json, stream=False) for _ in range(asking)]
        await asyncio.gather(*callers)
        self.done = True

    async def _call(self, answers: list[Answer], *, stream: bool) -> None:
        await asyncio.sleep(self.random.random() * 2)
        while time.monotonic() < self.until:
            answer = await streams.send(
                self.port, self._request(stream=stream), self.count, self.patience
            )
            answers.append(answer)
            if answer.how != WHOLE or not stream:
                await asyncio.sleep(RETRY_SECONDS)

    def _request(self, *, stream: bool) -> bytes:
        token = self.tokens[next(self.turn) % len(self.tokens)]
        prompt = mock.make_prompt(
            delay=self.random.randint(0, 300), gap=GAP, chunks=self.random.randint(*CHUNKS)
        )
        headers = {"Authorization": f"Bearer {token}"}
        host = f"127.0.0.1:{self.port}"
        return streams.build_request(host, PATH, headers, prompt, stream=stream)
