"""One run of each measurement against one target, bounded in callers and in seconds."""

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
GAP = 50  # Milliseconds between the chunks of a usual stream.
CHUNKS = 100
PATIENCE = 30  # Seconds that a stream may take longer than the mock does.
LULL_SECONDS = 2  # Before and after a measurement, without beginning or ending streams.


def compute_percentile(values: Iterable[float], percent: float) -> float:
    ordered = sorted(values)
    return (
        ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
        if ordered
        else float("nan")
    )


def count_failures(answers: Iterable[Answer]) -> Counter[str]:
    """Count the incomplete answers by how they ended and their status."""
    return Counter(f"{answer.how} {answer.status}" for answer in answers if answer.how != WHOLE)


@dataclass(frozen=True)
class Json:
    """The load of a run. `cpu` and `database` are milliseconds of CPU time per completion."""

    load: wrk.Load
    cpu: float
    database: float


def measure_json(target: Target, clients: int, seconds: float, folder: Path) -> Json:
    wrk.run_wrk(target, clients=clients, seconds=WARM_UP_SECONDS, folder=folder)
    before = _read_cpu(target)
    load = wrk.run_wrk(target, clients=clients, seconds=seconds, folder=folder)
    each = 1000 / max(load.requests, 1)
    cpu, database = (
        (now - then) * each for now, then in zip(_read_cpu(target), before, strict=True)
    )
    return Json(load, cpu, database)


def _read_cpu(target: Target) -> tuple[float, float]:
    """Return the CPU seconds of the target and of its database."""
    return usage.read_cpu_seconds([target.process]), usage.read_cpu_seconds(
        [target.database] if target.database else []
    )


@dataclass(frozen=True)
class FirstToken:
    """The milliseconds that the gateway added before the first token of `streams` streams."""

    p50: float
    p99: float
    streams: int
    failed: Counter[str]


def measure_first_token(target: Target, callers: int, seconds: float) -> FirstToken:
    """Keep this many streams open all the time; they begin and end evenly spread."""
    prompt, duration = mock.make_prompt(gap=GAP, chunks=CHUNKS), GAP * CHUNKS / 1000
    answers = asyncio.run(
        _run_callers(target, callers, prompt, over=duration, seconds=seconds, count=Count())
    )
    added = [answer.added * 1000 for answer in answers if answer.added is not None]
    return FirstToken(
        compute_percentile(added, 50),
        compute_percentile(added, 99),
        len(added),
        count_failures(answers),
    )


@dataclass(frozen=True)
class Streams:
    """Running streams, measured while none begins or ends.

    `wanted` streams were started and `open` were running; they received `chunks` while the process
    used `cpu` seconds. `p50` and `p99` are the milliseconds from the sending of a chunk to its
    arrival. `memory` was used during the measurement, `before` before the streams began.
    """

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
        """Microseconds of CPU time per chunk."""
        return self.cpu / self.chunks * 1e6 if self.chunks else float("nan")


def measure_streams(
    target: Target, callers: int, *, over: float, seconds: float, gap: int
) -> Streams:
    """Begin the streams evenly over `over` seconds, and then measure for `seconds`."""
    chunks = int((over + seconds + 2 * LULL_SECONDS) * 1000 / gap)
    before, count = usage.read_memory(target.process), Count()
    window = _Window(target.process, count, over + LULL_SECONDS, seconds)
    prompt = mock.make_prompt(gap=gap, chunks=chunks)
    answers = asyncio.run(
        _run_callers(
            target, callers, prompt, over=over, seconds=0, count=count, meanwhile=window.measure
        )
    )
    delays = [delay * 1000 for delay in count.delays]
    return Streams(
        callers,
        window.open,
        window.chunks,
        window.cpu,
        compute_percentile(delays, 50),
        compute_percentile(delays, 99),
        window.memory,
        before,
        count_failures(answers),
    )


@dataclass
class _Window:
    """The seconds of the measurement, which start `begin` seconds after the first stream."""

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
        self.count.recording = True
        chunks, cpu = self.count.chunks, usage.read_cpu_seconds([self.process])
        await asyncio.sleep(self.seconds)
        self.chunks = self.count.chunks - chunks
        self.cpu = usage.read_cpu_seconds([self.process]) - cpu
        self.count.recording = False
        self.open, self.memory = self.count.begun, usage.read_memory(self.process)


async def _do_nothing() -> None:
    pass


async def _run_callers(
    target: Target,
    callers: int,
    prompt: str,
    *,
    over: float,
    seconds: float,
    count: Count,
    meanwhile: Callable[[], Awaitable[None]] = _do_nothing,
) -> list[Answer]:
    """Begin the callers evenly over `over` seconds; they repeat requests until `seconds` later."""
    requests, patience = target.requests(prompt), 10 * (over + seconds) + PATIENCE
    all_answers = streams.keep_open(
        callers,
        lambda: streams.send(target.port, next(requests), count, patience),
        until=time.monotonic() + over + seconds,
        apart=over / (callers + 1),
    )
    answers, _ = await asyncio.gather(all_answers, meanwhile())
    return answers
