"""One run of each measurement against one target. Each is bounded in callers and in seconds."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import mock, streams, usage
from bench.gateway import wrk
from bench.gateway.targets import Target
from bench.streams import WHOLE, Answer, Count

WARM_UP_SECONDS = 2
GAP = 50  # milliseconds between the chunks of a usual stream
CHUNKS = 100
PATIENCE = 30  # seconds that a stream may take longer than the mock does
LULL_SECONDS = 2  # between the last beginning and what is measured, and after that


def percentile(values: Iterable[float], percent: float) -> float:
    ordered = sorted(values)
    return (
        ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
        if ordered
        else float("nan")
    )


def failures(answers: Iterable[Answer]) -> Counter[str]:
    """How answers ended that did not come to their end."""
    return Counter(f"{answer.how} {answer.status}" for answer in answers if answer.how != WHOLE)


@dataclass(frozen=True)
class Json:
    """`cpu` and `database` are milliseconds of CPU per completion."""

    load: wrk.Load
    cpu: float
    database: float


def json_completions(target: Target, clients: int, seconds: float, folder: Path) -> Json:
    wrk.load(target, clients=clients, seconds=WARM_UP_SECONDS, folder=folder)
    before = _cpu(target)
    load = wrk.load(target, clients=clients, seconds=seconds, folder=folder)
    each = 1000 / max(load.requests, 1)
    cpu, database = ((now - then) * each for now, then in zip(_cpu(target), before, strict=True))
    return Json(load, cpu, database)


def _cpu(target: Target) -> tuple[float, float]:
    return usage.cpu_seconds([target.process]), usage.cpu_seconds(
        [target.database] if target.database else []
    )


@dataclass(frozen=True)
class FirstToken:
    """Milliseconds that the gateway added before the first token of `streams`."""

    p50: float
    p99: float
    streams: int
    failed: Counter[str]


def first_token(target: Target, callers: int, seconds: float) -> FirstToken:
    """So many streams open all the time, begun and ended evenly over it."""
    text, whole = mock.question(gap=GAP, chunks=CHUNKS), GAP * CHUNKS / 1000
    answers = asyncio.run(_asked(target, callers, text, over=whole, seconds=seconds, count=Count()))
    added = [answer.added * 1000 for answer in answers if answer.added is not None]
    return FirstToken(percentile(added, 50), percentile(added, 99), len(added), failures(answers))


@dataclass(frozen=True)
class Midst:
    """So many streams, all of them in their midst: `open` of them, `chunks` in these seconds, of which the process
    spent `cpu` ones; `p50` and `p99` are the milliseconds that chunks were under way. Memory in bytes."""

    wanted: int
    open: int
    chunks: int
    cpu: float
    p50: float
    p99: float
    memory: usage.Memory
    before: usage.Memory
    failed: Counter[str]

    @property
    def chunk_cpu(self) -> float:
        """Microseconds of CPU for each chunk."""
        return self.cpu / self.chunks * 1e6 if self.chunks else float("nan")


def midst(target: Target, callers: int, *, over: float, seconds: float, gap: int) -> Midst:
    """Streams that begin evenly over some seconds and end so; none does either while these seconds are measured."""
    chunks = int((over + seconds + 2 * LULL_SECONDS) * 1000 / gap)
    before, count = usage.memory(target.process), Count()
    window = _Window(target.process, count, over + LULL_SECONDS, seconds)
    text = mock.question(gap=gap, chunks=chunks)
    answers = asyncio.run(
        _asked(target, callers, text, over=over, seconds=0, count=count, meanwhile=window.measure)
    )
    delays = [delay * 1000 for delay in count.delays]
    return Midst(
        callers,
        window.open,
        window.chunks,
        window.cpu,
        percentile(delays, 50),
        percentile(delays, 99),
        window.memory,
        before,
        failures(answers),
    )


@dataclass
class _Window:
    """Some seconds in which everything is counted."""

    process: int
    count: Count
    begin: float
    seconds: float
    open: int = 0
    chunks: int = 0
    cpu: float = 0
    memory: usage.Memory = field(default_factory=lambda: usage.Memory(0, 0))

    async def measure(self) -> None:
        await asyncio.sleep(self.begin)
        self.count.noting, chunks, cpu = True, self.count.chunks, usage.cpu_seconds([self.process])
        await asyncio.sleep(self.seconds)
        self.chunks, self.cpu = self.count.chunks - chunks, usage.cpu_seconds([self.process]) - cpu
        self.count.noting, self.open, self.memory = (
            False,
            self.count.begun,
            usage.memory(self.process),
        )


async def _nothing() -> None:
    pass


async def _asked(
    target: Target,
    callers: int,
    text: str,
    *,
    over: float,
    seconds: float,
    count: Count,
    meanwhile: Callable[[], Awaitable[None]] = _nothing,
) -> list[Answer]:
    """Callers begin evenly over some seconds, and ask again when they are answered, until `seconds` after that."""
    requests, patience = target.requests(text), 10 * (over + seconds) + PATIENCE
    asking = streams.keep_open(
        callers,
        lambda: streams.ask(target.port, next(requests), count, patience),
        until=time.monotonic() + over + seconds,
        apart=over / (callers + 1),
    )
    answers, _ = await asyncio.gather(asking, meanwhile())
    return answers
