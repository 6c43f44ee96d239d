"""The CPU seconds and the memory of trees of processes, from /proc."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """The memory of one process in bytes. `own` is the PSS, which divides shared pages."""

    resident: int
    own: int


def list_children(pid: int) -> list[int]:
    """Return the ids of the running child processes."""
    with suppress(OSError):
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    return []


def walk_tree(pid: int) -> Iterator[int]:
    """Yield the id of this process and of all its descendants."""
    yield pid
    for child in list_children(pid):
        yield from walk_tree(child)


def read_cpu_seconds(roots: Iterable[int]) -> float:
    """Return the CPU time of these processes and their descendants, also of ended ones."""
    return sum(_read_ticks(pid) for root in roots for pid in walk_tree(root)) / TICK


def read_memory(pid: int) -> Memory:
    """Return the memory of this process without its children."""
    lines = (PROC / f"{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)
    }
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)


def _read_ticks(pid: int) -> int:
    """Return the user and system time in ticks, including that of children that have ended."""
    with suppress(OSError):
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[number]) for number in (11, 12, 13, 14))
    return 0
