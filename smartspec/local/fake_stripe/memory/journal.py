"""The file of a state: one line for each change, so that a kill leaves all of it or nothing."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Journal:
    """Appends entries to a file, those that differ from what it wrote of them before."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.written: dict[str, str] = {}

    def append(self, origin: str, entries: list[Json]) -> None:
        """Write what has changed of these entries."""
        texts = {f"{one['kind']} {one['id']}": json.dumps(one) for one in entries}
        changed = {name: text for name, text in texts.items() if self.written.get(name) != text}
        self.written |= changed
        if changed:
            with self.file.open("a") as file:
                file.write(_format_line(origin, changed.values()))

    def rewrite(self, origin: str, entries: list[Json]) -> None:
        """Replace all that was written by these entries."""
        self.written = {f"{one['kind']} {one['id']}": json.dumps(one) for one in entries}
        new = self.file.with_suffix(".new")
        new.write_text(_format_line(origin, self.written.values()))
        new.replace(self.file)

    def read(self, origin: str) -> Iterator[Json]:
        """Yield the entries in the order in which they were written.

        Addresses in them have the origin of then, and get the present one. A line that is not
        finished never happened.
        """
        whole, _, _unfinished = self._read_text().rpartition("\n")
        for text in whole.splitlines():
            before = json.loads(text)["origin"]
            yield from json.loads(text.replace(before, origin))["entries"]

    def _read_text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""


def _format_line(origin: str, texts: Iterable[str]) -> str:
    return f'{{"origin": {json.dumps(origin)}, "entries": [{", ".join(texts)}]}}\n'
