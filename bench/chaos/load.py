"""Callers who ask again and again, streams and JSON, each with a time-out of its own."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import count
from random import Random

from bench import mock, streams
from bench.gateway.targets import PATH
from bench.streams import WHOLE, Answer, Count

GAP = 100  # milliseconds between chunks
CHUNKS = (10, 60)  # of a stream, from one to six seconds
SHY_SECONDS = 0.5  # before somebody who was not answered asks again


class Load:
    """Runs in a thread of its own, because those who are killed are started from the main one."""

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
        """So many callers at once, who ask nothing more after these seconds."""
        self.until = time.monotonic() + seconds
        work = self._all(streaming, asking)
        self.thread = threading.Thread(target=asyncio.run, args=(work,), daemon=True)
        self.thread.start()

    def wait(self) -> bool:
        """Until everybody has been answered or has given up; whether that happened in time."""
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
            answer = await streams.ask(
                self.port, self._request(stream=stream), self.count, self.patience
            )
            answers.append(answer)
            if answer.how != WHOLE or not stream:
                await asyncio.sleep(SHY_SECONDS)

    def _request(self, *, stream: bool) -> bytes:
        token = self.tokens[next(self.turn) % len(self.tokens)]
        text = mock.question(
            delay=self.random.randint(0, 300), gap=GAP, chunks=self.random.randint(*CHUNKS)
        )
        headers = {"Authorization": f"Bearer {token}"}
        return streams.request(f"127.0.0.1:{self.port}", PATH, headers, text, stream=stream)
