"""Medians of the rounds, ratios to the peers and targets, as Markdown; docs/benchmarks.md keeps the last ones."""

import math
import os
import platform
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway import peers
from bench.gateway.figures import BUSY, CROWD, FEW, MANY, SOME, STEADY, Figures, Plan, median
from bench.gateway.targets import DIRECT, OURS
from smartspec.drill.scratch import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
TITLE = "## The gateway: `make bench`"
OVER_PORTKEY, OVER_LITELLM = 1.0, 10.0  # completions per second
ADDED_MS, SLOW_MS = 2, 30
FIRST_MS, FIRST_SLOW_MS = 5, 25
CHUNK_US = 40
CROWD_MB = 250


class Medians:
    """Of all rounds, by target; NaN where there was no run, which meets no target."""

    def __init__(self, measured: Figures) -> None:
        self.measured = measured

    def json(self, name: str, clients: int, of: str) -> float:
        return _median(getattr(run.load, of) for run in self.measured.json.get((name, clients), []))

    def cpu(self, name: str, clients: int, of: str) -> float:
        return _median(getattr(run, of) for run in self.measured.json.get((name, clients), []))

    def first(self, name: str, of: str) -> float:
        return _median(getattr(run, of) for run in self.measured.first_token.get(name, []))

    def chunk(self, name: str, of: str) -> float:
        return _median(getattr(run, of) for run in self.measured.chunks.get(name, []))


def section(measured: Figures, names: list[str], plan: Plan, load: float) -> str:
    """All of it, to be printed or kept."""
    medians = Medians(measured)
    parts = [TITLE, "", _wrapped(_about(plan, load)), ""]
    if measured.json:
        parts += [*_json(medians, names), "", *_busy(medians, names), ""]
    parts += [*_streams(medians, names), ""]
    if measured.crowd:
        parts += [*_crowd(measured, names), ""]
    parts += [*_targets(medians, measured), "", _wrapped(_ledger(measured))]
    return "\n".join(parts) + "\n"


def _wrapped(paragraph: str) -> str:
    """At most 100 characters a line, as in all documents (tools/line_lengths.py)."""
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def write(text: str) -> None:
    """Replace this section of docs/benchmarks.md, or add it after the others."""
    document = DOCUMENT.read_text()
    part = re.compile(rf"^{re.escape(TITLE)}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if part.search(document):
        DOCUMENT.write_text(part.sub(lambda _: f"{text}\n", document).rstrip() + "\n")
    else:
        DOCUMENT.write_text(f"{document.rstrip()}\n\n{text}")


def _about(plan: Plan, load: float) -> str:
    return (
        f"{_machine()}, load {load:.1f} before the start. Rounds: {plan.rounds}, of {plan.seconds:g} s each; medians. "
        "All targets in turn, each with one worker, all on loopback and on the same cores, with the mock provider and "
        f"the load. {OURS} authenticates one of 1,000 bearer tokens each time, holds, captures and writes the "
        f"receipt in a durable PostgreSQL; the peers ({peers.LITELLM}, {peers.PORTKEY}, nginx) do nothing of the kind. "
        f"“{OURS} is” is our figure divided by theirs. Measured on {datetime.now(UTC).date()}."
    )


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    chip = f" ({model[1].strip()})" if model else ""
    return f"{os.cpu_count()} cores{chip}, {memory:.0f} GiB, Python {platform.python_version()}"


def _json(medians: Medians, names: list[str]) -> Iterator[str]:
    few, some = f"{FEW} client", f"{SOME} clients"
    yield f"| JSON completions | {some}: a second | SmartSpec is | p50 ms | p99 ms | {few}: p50 ms | p99 ms | CPU ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    ours = medians.json(OURS, SOME, "per_second")
    for name in names:
        rate = medians.json(name, SOME, "per_second")
        cells = [f"{rate:,.0f}", f"{ours / rate:.2g}"]
        cells += [
            f"{medians.json(name, clients, of):.2f}"
            for clients in (SOME, FEW)
            for of in ("p50", "p99")
        ]
        cells += [_cpu(medians, name)]
        yield f"| {name} | {' | '.join(cells)} |"


def _busy(medians: Medians, names: list[str]) -> Iterator[str]:
    """16 clients leave the machine idle in part; how much a worker can do shows with more."""
    yield f"| busier | {' | '.join(f'{clients} clients: a second | SmartSpec is | p99 ms' for clients in BUSY)} |"
    yield f"| --- |{' ---: | ---: | ---: |' * len(BUSY)}"
    for name in names:
        cells = []
        for clients in BUSY:
            rate, ours = (medians.json(who, clients, "per_second") for who in (name, OURS))
            cells += [
                f"{rate:,.0f}",
                f"{ours / rate:.2g}",
                f"{medians.json(name, clients, 'p99'):.0f}",
            ]
        yield f"| {name} | {' | '.join(cells)} |"


def _cpu(medians: Medians, name: str) -> str:
    database = medians.cpu(name, SOME, "database")
    more = f" + {database:.2f} PostgreSQL" if database else ""
    return f"{medians.cpu(name, SOME, 'cpu'):.2f}{more}"


def _streams(medians: Medians, names: list[str]) -> Iterator[str]:
    yield (
        f"| streams | {STEADY} at once: first token later by p50 ms | p99 ms | {MANY} at once: CPU µs a chunk "
        "| SmartSpec is | chunk under way p50 ms | p99 ms |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    ours = medians.chunk(OURS, "chunk_cpu")
    for name in names:
        cpu = medians.chunk(name, "chunk_cpu")
        cells = [f"{medians.first(name, of):.2f}" for of in ("p50", "p99")]
        cells += [f"{cpu:.0f}", f"{ours / cpu:.2g}"]
        cells += [f"{medians.chunk(name, of):.2f}" for of in ("p50", "p99")]
        yield f"| {name} | {' | '.join(cells)} |"


def _crowd(measured: Figures, names: list[str]) -> Iterator[str]:
    yield f"| {CROWD:,} streams of a chunk a second | open at once | not whole | MB then | MB before | CPU µs a chunk |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name in names:
        run = measured.crowd[name]
        cells = [f"{run.open:,}", f"{run.failed.total():,}"]
        cells += [f"{memory.own / 1e6:.0f}" for memory in (run.memory, run.before)] + [
            f"{run.chunk_cpu:.0f}"
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def _targets(medians: Medians, measured: Figures) -> Iterator[str]:
    yield "| target | wanted | measured | |"
    yield "| --- | ---: | ---: | --- |"
    for name, wanted, value, met in (
        *_json_targets(medians),
        *_stream_targets(medians),
        *_crowd_targets(measured),
    ):
        if math.isnan(value):
            yield f"| {name} | {wanted} | not measured | |"
            continue
        yield f"| {name} | {wanted} | {_short(value)} | {'met' if met(value) else 'missed'} |"


Line = tuple[str, str, float, Callable[[float], bool]]


def _short(value: float) -> str:
    return f"{value:,.2f}" if value % 1 else f"{value:,.0f}"


def _json_targets(medians: Medians) -> Iterator[Line]:
    for peer, least in (("Portkey", OVER_PORTKEY), ("LiteLLM", OVER_LITELLM)):
        for clients in (SOME, *BUSY):
            ratio = medians.json(OURS, clients, "per_second") / medians.json(
                peer, clients, "per_second"
            )
            name = f"completions a second, times {peer}'s, {clients} clients"
            yield name, f"≥ {least:g}", ratio, _at_least(least)
    added = medians.json(OURS, FEW, "p50") - medians.json(DIRECT, FEW, "p50")
    yield f"added p50, {FEW} client, ms", f"≤ {ADDED_MS}", added, _at_most(ADDED_MS)
    slow = medians.json(OURS, SOME, "p99") - medians.json(DIRECT, SOME, "p99")
    yield f"added p99, {SOME} clients, ms", f"≤ {SLOW_MS}", slow, _at_most(SLOW_MS)


def _stream_targets(medians: Medians) -> Iterator[Line]:
    for of, most in (("p50", FIRST_MS), ("p99", FIRST_SLOW_MS)):
        added = medians.first(OURS, of) - medians.first(DIRECT, of)
        yield (
            f"added {of} of the first token, {STEADY} streams, ms",
            f"≤ {most}",
            added,
            _at_most(most),
        )
    yield (
        "CPU per relayed chunk, µs",
        f"≤ {CHUNK_US}",
        medians.chunk(OURS, "chunk_cpu"),
        _at_most(CHUNK_US),
    )


def _crowd_targets(measured: Figures) -> Iterator[Line]:
    run = measured.crowd.get(OURS)
    nan = float("nan")
    yield "streams open at once", f"{CROWD:,}", run.open if run else nan, _at_least(CROWD)
    yield "of them not whole", "0", run.failed.total() if run else nan, _at_most(0)
    yield (
        "memory of the worker then (PSS), MB",
        f"≤ {CROWD_MB}",
        run.memory.own / 1e6 if run else nan,
        _at_most(CROWD_MB),
    )


def _ledger(measured: Figures) -> str:
    """The worst of what was said after each run."""
    said = measured.ledger
    if not said:
        return "No run of ours, no books."
    worst = {
        of: max(getattr(books, of) for books in said)
        for of in ("overdraft", "drift", "open_holds", "problems")
    }
    last = said[-1]
    return (
        f"After each of our {len(said)} runs: overdraft {worst['overdraft']}, drift between balances and ledger "
        f"{worst['drift']}, open holds {worst['open_holds']}, problems of the audit {worst['problems']}; at the end "
        f"{last.completions:,} completions, {last.charged:,} credits charged, {last.receipts:,} on their receipts."
    )


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _at_most(most: float) -> Callable[[float], bool]:
    return lambda value: value <= most


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return median(found) if found else float("nan")
