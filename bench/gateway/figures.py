"""All measurements of all targets, in turn round by round, so that the machine's mood is in each."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import books
from bench.gateway import runs, wrk
from bench.gateway.targets import OURS, Target
from smartspec.local.site import say

FEW, SOME, BUSY = 1, 16, (64, 200)  # clients of the JSON measurements
STEADY, MANY, CROWD = 100, 300, 2000  # streams
CROWD_SECONDS, CROWD_GAP = 20, 1000  # to begin them all; milliseconds between chunks


@dataclass(frozen=True)
class Plan:
    """How often and how long; each run takes about so many seconds."""

    rounds: int
    seconds: float
    crowd: bool


@dataclass
class Figures:
    """Every run by target; `ledger` is what the books said after each run of ours."""

    json: dict[tuple[str, int], list[runs.Json]] = field(default_factory=lambda: defaultdict(list))
    first_token: dict[str, list[runs.FirstToken]] = field(default_factory=lambda: defaultdict(list))
    chunks: dict[str, list[runs.Midst]] = field(default_factory=lambda: defaultdict(list))
    crowd: dict[str, runs.Midst] = field(default_factory=dict)
    ledger: list[books.Books] = field(default_factory=list)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def measure(targets: list[Target], plan: Plan, folder: Path) -> Figures:
    figures = Figures()
    for turn in range(plan.rounds):
        say(f"\nRound {turn + 1} of {plan.rounds}")
        if wrk.is_there():
            _json(figures, targets, plan, folder)
        _first_token(figures, targets, plan)
        _chunks(figures, targets, plan)
    if plan.crowd:
        say(f"\n{CROWD:,} streams at once")
        _crowd(figures, targets)
    return figures


def _json(figures: Figures, targets: list[Target], plan: Plan, folder: Path) -> None:
    for clients in (FEW, SOME, *BUSY):
        for target in targets:
            run = runs.json_completions(target, clients, plan.seconds, folder)
            figures.json[target.name, clients].append(run)
            _tell(target, f"JSON, {clients} at once: {_completions(run)}")
            _close_books(figures, target)


def _first_token(figures: Figures, targets: list[Target], plan: Plan) -> None:
    for target in targets:
        run = runs.first_token(target, STEADY, plan.seconds)
        figures.first_token[target.name].append(run)
        text = f"first token, {STEADY} streams: added p50 {run.p50:.2f} ms, p99 {run.p99:.1f} ms, of {run.streams}"
        _tell(target, text + _failed(run.failed))
        _close_books(figures, target)


def _chunks(figures: Figures, targets: list[Target], plan: Plan) -> None:
    for target in targets:
        run = runs.midst(target, MANY, over=4, seconds=plan.seconds, gap=runs.GAP)
        figures.chunks[target.name].append(run)
        _tell(target, f"chunks, {MANY} streams: {_midst(run)}")
        _close_books(figures, target)


def _crowd(figures: Figures, targets: list[Target]) -> None:
    for target in targets:
        run = runs.midst(target, CROWD, over=CROWD_SECONDS, seconds=5, gap=CROWD_GAP)
        figures.crowd[target.name] = run
        _tell(target, f"{run.open} open; {_midst(run)}; {run.memory.own / 1e6:.0f} MB PSS")
        _close_books(figures, target)


def _completions(run: runs.Json) -> str:
    load = run.load
    cpu = f"CPU each {run.cpu:.2f} ms" + (
        f", PostgreSQL {run.database:.2f} ms" if run.database else ""
    )
    failed = f"; FAILED {load.failed}" if load.failed else ""
    return f"{load.per_second:,.0f}/s, p50 {load.p50:.2f} ms, p99 {load.p99:.1f} ms; {cpu}{failed}"


def _midst(run: runs.Midst) -> str:
    return (
        f"{run.chunk_cpu:.0f} µs of CPU per chunk, {run.chunks:,} of them under way p50 {run.p50:.2f} ms, "
        f"p99 {run.p99:.1f} ms{_failed(run.failed)}"
    )


def _close_books(figures: Figures, target: Target) -> None:
    if target.name == OURS:
        figures.ledger.append(books.close())
        say(f"    {'':<12} {figures.ledger[-1]}")


def _tell(target: Target, text: str) -> None:
    say(f"    {target.name:<12} {text}")


def _failed(failed: dict[str, int]) -> str:
    return f"; FAILED {dict(failed)}" if failed else ""
