"""Reads the tables of this folder: errors of providers, and what callers may read of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmproxy.upstream.refusals.verdicts import Fault

HERE = Path(__file__).parent
START = "--- "


@dataclass(frozen=True)
class Row:
    """An error of a provider: where it is documented, how it comes, and whose fault it is."""

    id: str
    source: str
    status: int
    body: bytes
    fault: Fault

    def __str__(self) -> str:
        return self.id

    @property
    def error_status(self) -> int | None:
        """The status as verdicts.judge takes it: None for an error with a status of success."""
        return None if self.status == 200 else self.status


def _read_blocks(name: str) -> Iterator[tuple[str, list[str]]]:
    for block in (HERE / name).read_text().split("\n\n"):
        if block.startswith(START):
            title, *lines = block.strip("\n").split("\n")
            yield title.removeprefix(START), lines


def _read_row(title: str, lines: list[str]) -> Row:
    own_id, source, status, fault = title.split(" | ")
    return Row(own_id, source, int(status), "\n".join(lines).encode(), Fault(fault))


ROWS = [_read_row(title, lines) for title, lines in _read_blocks("refusals.txt")]
# Bodies that cannot stand in a text.
HOSTILE = [
    Row("deep nesting", "invented", 500, b"[" * 5000 + b"]" * 5000, Fault.PROVIDER),
    Row("wide nesting", "invented", 500, b'{"error":' * 90 + b"1" + b"}" * 90, Fault.PROVIDER),
    Row("many errors", "invented", 500, b"[" + b'{"error":{}},' * 9999 + b"1]", Fault.PROVIDER),
    Row("all bytes", "invented", 500, bytes(range(256)) * 50, Fault.PROVIDER),
    Row("a long word", "invented", 500, b'{"error": "' + b"a" * 200_000 + b'"}', Fault.PROVIDER),
    Row("a number", "invented", 500, b"-1e999", Fault.PROVIDER),
]


def read_all(*faults: Fault) -> list[Row]:
    """The rows with one of these verdicts; all without one."""
    return [row for row in ROWS if not faults or row.fault in faults]


def read_words() -> list[object]:
    """The words of providers as they come, and as a caller reads them."""
    return [pytest.param(*lines, id=title) for title, lines in _read_blocks("hidden_words.txt")]
