"""The medians of the rounds, ratios to the peers, and targets, as Markdown."""

import math
import os
import platform
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway import peers
from bench.gateway.figures import (
    BUSY,
    CROWD,
    FEW,
    MANY,
    SOME,
    STEADY,
    Figures,
    Plan,
    compute_median,
)
from bench.gateway.targets import DIRECT, OURS
from smartspec.drill.scratch import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
TITLE = "## The gateway: `make bench`"
OVER_PORTKEY, OVER_LITELLM = 1.0, 10.0  # The wanted ratios of completions per second.
ADDED_MS, SLOW_MS = 2, 30
FIRST_MS, FIRST_SLOW_MS = 5, 25
CHUNK_US = 40
CROWD_MB = 250


class Medians:
    """The medians of all rounds by target. NaN if there was no run: no target is met."""

    def __init__(self, measured: Figures) -> None:
        self.measured = measured

    def json(self, name: str, clients: int, field: str) -> float:
        runs = self.measured.json.get((name, clients), [])
        return _compute_median(getattr(run.load, field) for run in runs)

    def cpu(self, name: str, clients: int, field: str) -> float:
        runs = self.measured.json.get((name, clients), [])
        return _compute_median(getattr(run, field) for run in runs)

    def first(self, name: str, field: str) -> float:
        runs = self.measured.first_token.get(name, [])
        return _compute_median(getattr(run, field) for run in runs)

    def chunk(self, name: str, field: str) -> float:
        return _compute_median(getattr(run, field) for run in self.measured.chunks.get(name, []))


def format_section(measured: Figures, names: list[str], plan: Plan, load: float) -> str:
    """Return the whole section of docs/benchmarks.md."""
    medians = Medians(measured)
    parts = [TITLE, "", _wrap(_describe_plan(plan, load)), ""]
    if measured.json:
        parts += [*_tabulate_json(medians, names), "", *_tabulate_busy(medians, names), ""]
    parts += [*_tabulate_streams(medians, names), ""]
    if measured.crowd:
        parts += [*_tabulate_crowd(measured, names), ""]
    parts += [*_tabulate_targets(medians, measured), "", _wrap(_describe_ledger(measured))]
    return "\n".join(parts) + "\n"


def _wrap(paragraph: str) -> str:
    """At most 100 characters a line, as in all documents (tools/line_lengths.py)."""
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def write(text: str) -> None:
    """Replace the section in docs/benchmarks.md, or add it at the end."""
    document = DOCUMENT.read_text()
    part = re.compile(rf"^{re.escape(TITLE)}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if part.search(document):
        DOCUMENT.write_text(part.sub(lambda _: f"{text}\n", document).rstrip() + "\n")
    else:
        DOCUMENT.write_text(f"{document.rstrip()}\n\n{text}")


def _describe_plan(plan: Plan, load: float) -> str:
    return (
        f"{_describe_machine()}, load {load:.1f} before the start. Rounds: {plan.rounds}, of "
        f"{plan.seconds:g} s each; medians. All targets in turn, each with one worker, all on "
        f"loopback and on the same cores, with the mock provider and the load. {OURS} "
        "authenticates one of 1,000 bearer tokens each time, holds, captures and writes the "
        f"receipt in a durable PostgreSQL; the peers ({peers.LITELLM}, {peers.PORTKEY}, nginx) do "
        f"nothing of the kind. “{OURS} is” is our figure divided by theirs. Measured on "
        f"{datetime.now(UTC).date()}."
    )


def _describe_machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    chip = f" ({model[1].strip()})" if model else ""
    return f"{os.cpu_count()} cores{chip}, {memory:.0f} GiB, Python {platform.python_version()}"


def _tabulate_json(medians: Medians, names: list[str]) -> Iterator[str]:
    few, some = f"{FEW} client", f"{SOME} clients"
    yield (
        f"| JSON completions | {some}: a second | SmartSpec is | p50 ms | p99 ms "
        f"| {few}: p50 ms | p99 ms | CPU ms |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    ours = medians.json(OURS, SOME, "per_second")
    for name in names:
        rate = medians.json(name, SOME, "per_second")
        cells = [f"{rate:,.0f}", f"{ours / rate:.2g}"]
        cells += [
            f"{medians.json(name, clients, field):.2f}"
            for clients in (SOME, FEW)
            for field in ("p50", "p99")
        ]
        cells += [_format_cpu(medians, name)]
        yield f"| {name} | {' | '.join(cells)} |"


def _tabulate_busy(medians: Medians, names: list[str]) -> Iterator[str]:
    """Tabulate more clients: 16 clients do not use the whole machine."""
    columns = (f"{clients} clients: a second | SmartSpec is | p99 ms" for clients in BUSY)
    yield f"| busier | {' | '.join(columns)} |"
    yield f"| --- |{' ---: | ---: | ---: |' * len(BUSY)}"
    for name in names:
        cells = []
        for clients in BUSY:
            rate = medians.json(name, clients, "per_second")
            ours = medians.json(OURS, clients, "per_second")
            cells += [
                f"{rate:,.0f}",
                f"{ours / rate:.2g}",
                f"{medians.json(name, clients, 'p99'):.0f}",
            ]
        yield f"| {name} | {' | '.join(cells)} |"


def _format_cpu(medians: Medians, name: str) -> str:
    database = medians.cpu(name, SOME, "database")
    more = f" + {database:.2f} PostgreSQL" if database else ""
    return f"{medians.cpu(name, SOME, 'cpu'):.2f}{more}"


def _tabulate_streams(medians: Medians, names: list[str]) -> Iterator[str]:
    yield (
        f"| streams | {STEADY} at once: first token later by p50 ms | p99 ms "
        f"| {MANY} at once: CPU µs a chunk | SmartSpec is | chunk under way p50 ms | p99 ms |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    ours = medians.chunk(OURS, "chunk_cpu")
    for name in names:
        cpu = medians.chunk(name, "chunk_cpu")
        cells = [f"{medians.first(name, field):.2f}" for field in ("p50", "p99")]
        cells += [f"{cpu:.0f}", f"{ours / cpu:.2g}"]
        cells += [f"{medians.chunk(name, field):.2f}" for field in ("p50", "p99")]
        yield f"| {name} | {' | '.join(cells)} |"


def _tabulate_crowd(measured: Figures, names: list[str]) -> Iterator[str]:
    yield (
        f"| {CROWD:,} streams of a chunk a second | open at once | not whole | MB then "
        "| MB before | CPU µs a chunk |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name in names:
        run = measured.crowd[name]
        cells = [f"{run.open:,}", f"{run.failed.total():,}"]
        cells += [f"{memory.own / 1e6:.0f}" for memory in (run.memory, run.before)] + [
            f"{run.chunk_cpu:.0f}"
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def _tabulate_targets(medians: Medians, measured: Figures) -> Iterator[str]:
    yield "| target | wanted | measured | |"
    yield "| --- | ---: | ---: | --- |"
    for name, wanted, value, is_met in (
        *_list_json_targets(medians),
        *_list_stream_targets(medians),
        *_list_crowd_targets(measured),
    ):
        if math.isnan(value):
            yield f"| {name} | {wanted} | not measured | |"
            continue
        verdict = "met" if is_met(value) else "missed"
        yield f"| {name} | {wanted} | {_format_value(value)} | {verdict} |"


Line = tuple[str, str, float, Callable[[float], bool]]


def _format_value(value: float) -> str:
    return f"{value:,.2f}" if value % 1 else f"{value:,.0f}"


def _list_json_targets(medians: Medians) -> Iterator[Line]:
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


def _list_stream_targets(medians: Medians) -> Iterator[Line]:
    for field, most in (("p50", FIRST_MS), ("p99", FIRST_SLOW_MS)):
        added = medians.first(OURS, field) - medians.first(DIRECT, field)
        yield (
            f"added {field} of the first token, {STEADY} streams, ms",
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


def _list_crowd_targets(measured: Figures) -> Iterator[Line]:
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


def _describe_ledger(measured: Figures) -> str:
    """Return the worst sums of the ledger after all runs, and the last counts."""
    if not measured.ledger:
        return "No run of ours, no books."
    worst = {
        field: max(getattr(books, field) for books in measured.ledger)
        for field in ("overdraft", "drift", "open_holds", "problems")
    }
    last = measured.ledger[-1]
    return (
        f"After each of our {len(measured.ledger)} runs: overdraft {worst['overdraft']}, drift "
        f"between balances and ledger {worst['drift']}, open holds {worst['open_holds']}, problems "
        f"of the audit {worst['problems']}; at the end {last.completions:,} completions, "
        f"{last.charged:,} credits charged, {last.receipts:,} on their receipts."
    )


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _at_most(most: float) -> Callable[[float], bool]:
    return lambda value: value <= most


def _compute_median(values: Iterable[float]) -> float:
    numbers = list(values)
    return compute_median(numbers) if numbers else float("nan")
