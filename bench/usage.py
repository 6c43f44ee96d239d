"""What trees of processes use, from /proc: CPU seconds and memory."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """Of one process, in bytes; `own` (PSS) counts pages that several share once among them."""

    resident: int
    own: int


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are alive."""
    with suppress(OSError):
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    return []


def tree(pid: int) -> Iterator[int]:
    """This process and all below it."""
    yield pid
    for child in children(pid):
        yield from tree(child)


def cpu_seconds(roots: Iterable[int]) -> float:
    """Of these processes and all below them, those that have ended included."""
    return sum(_ticks(pid) for root in roots for pid in tree(root)) / TICK


def memory(pid: int) -> Memory:
    """Of this process alone."""
    lines = (PROC / f"{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)
    }
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)


def _ticks(pid: int) -> int:
    """User and system time, also that of children that were waited for."""
    with suppress(OSError):
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[number]) for number in (11, 12, 13, 14))
    return 0
