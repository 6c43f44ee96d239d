"""All measurements of all targets, in turn in each round: the machine's load affects all."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import books
from bench.gateway import runs, wrk
from bench.gateway.targets import OURS, Target
from smartspec.local.site import say

FEW, SOME, BUSY = 1, 16, (64, 200)  # Clients of the JSON measurements.
STEADY, MANY, CROWD = 100, 300, 2000  # Streams.
CROWD_SECONDS = 20  # In which all streams of the crowd begin.
CROWD_GAP = 1000  # Milliseconds between the chunks of a stream of the crowd.


@dataclass(frozen=True)
class Plan:
    """The number of rounds, the seconds of each run, and whether to measure the crowd."""

    rounds: int
    seconds: float
    crowd: bool


@dataclass
class Figures:
    """All runs by target. `ledger` has the sums of the ledger after each run of our site."""

    json: dict[tuple[str, int], list[runs.Json]] = field(default_factory=lambda: defaultdict(list))
    first_token: dict[str, list[runs.FirstToken]] = field(default_factory=lambda: defaultdict(list))
    chunks: dict[str, list[runs.Streams]] = field(default_factory=lambda: defaultdict(list))
    crowd: dict[str, runs.Streams] = field(default_factory=dict)
    ledger: list[books.Books] = field(default_factory=list)


def compute_median(values: Iterable[float]) -> float:
    return statistics.median(values)


def measure(targets: list[Target], plan: Plan, folder: Path) -> Figures:
    figures = Figures()
    for turn in range(plan.rounds):
        say(f"\nRound {turn + 1} of {plan.rounds}")
        if wrk.is_installed():
            _measure_json(figures, targets, plan, folder)
        _measure_first_token(figures, targets, plan)
        _measure_chunks(figures, targets, plan)
    if plan.crowd:
        say(f"\n{CROWD:,} streams at once")
        _measure_crowd(figures, targets)
    return figures


def _measure_json(figures: Figures, targets: list[Target], plan: Plan, folder: Path) -> None:
    for clients in (FEW, SOME, *BUSY):
        for target in targets:
            run = runs.measure_json(target, clients, plan.seconds, folder)
            figures.json[target.name, clients].append(run)
            _report(target, f"JSON, {clients} at once: {_format_json(run)}")
            _close_books(figures, target)


def _measure_first_token(figures: Figures, targets: list[Target], plan: Plan) -> None:
    for target in targets:
        run = runs.measure_first_token(target, STEADY, plan.seconds)
        figures.first_token[target.name].append(run)
        text = (
            f"first token, {STEADY} streams: added p50 {run.p50:.2f} ms, p99 {run.p99:.1f} ms,"
            f" of {run.streams}"
        )
        _report(target, text + _format_failures(run.failed))
        _close_books(figures, target)


def _measure_chunks(figures: Figures, targets: list[Target], plan: Plan) -> None:
    for target in targets:
        run = runs.measure_streams(target, MANY, over=4, seconds=plan.seconds, gap=runs.GAP)
        figures.chunks[target.name].append(run)
        _report(target, f"chunks, {MANY} streams: {_format_streams(run)}")
        _close_books(figures, target)


def _measure_crowd(figures: Figures, targets: list[Target]) -> None:
    for target in targets:
        run = runs.measure_streams(target, CROWD, over=CROWD_SECONDS, seconds=5, gap=CROWD_GAP)
        figures.crowd[target.name] = run
        _report(
            target, f"{run.open} open; {_format_streams(run)}; {run.memory.own / 1e6:.0f} MB PSS"
        )
        _close_books(figures, target)


def _format_json(run: runs.Json) -> str:
    load = run.load
    cpu = f"CPU each {run.cpu:.2f} ms" + (
        f", PostgreSQL {run.database:.2f} ms" if run.database else ""
    )
    failed = f"; FAILED {load.failed}" if load.failed else ""
    return f"{load.per_second:,.0f}/s, p50 {load.p50:.2f} ms, p99 {load.p99:.1f} ms; {cpu}{failed}"


def _format_streams(run: runs.Streams) -> str:
    return (
        f"{run.chunk_cpu:.0f} µs of CPU per chunk, {run.chunks:,} of them under way p50 "
        f"{run.p50:.2f} ms, p99 {run.p99:.1f} ms{_format_failures(run.failed)}"
    )


def _close_books(figures: Figures, target: Target) -> None:
    if target.name == OURS:
        figures.ledger.append(books.close_books())
        say(f"    {'':<12} {figures.ledger[-1]}")


def _report(target: Target, text: str) -> None:
    say(f"    {target.name:<12} {text}")


def _format_failures(failed: dict[str, int]) -> str:
    return f"; FAILED {dict(failed)}" if failed else ""
