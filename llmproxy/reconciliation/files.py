"""From the bytes of a provider's file to its lines. A file is read whole, or refused."""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.utils.translation import gettext as _

from llmproxy.reconciliation.cells import MOST_TOKENS, MOST_USD, Cells, FileRefused
from llmproxy.reconciliation.formats import DATES, Format, Line, find_format

MAX_BYTES = 64 * 1024 * 1024
MAX_LINES = 250_000
MAX_HEADER = 20_000  # characters
MAX_SPAN = timedelta(days=400)
MOST_REQUEST_USD = 10**5  # of a single request
DELIMITERS = (",", ";", "\t")
LINE_END = re.compile(r"[\r\n]")
SEPARATORS = re.compile(r"[^a-z0-9]+")
TOTALS = frozenset({"total", "totals", "grand total", "sum", "subtotal"})
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")


@dataclass(slots=True)
class File:
    """A file that was read: its format, its lines, and how many were left out and why."""

    format: Format
    digest: str
    lines: list[Line]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def first_day(self) -> date:
        return min(line.day for line in self.lines)

    @property
    def last_day(self) -> date:
        return max(line.day for line in self.lines)


def read_file(raw: bytes) -> File:
    """Read a file of any known format. Raises FileRefused, whose text says what is wrong."""
    text = _decode(raw)
    header, delimiter = _read_header(text)
    file = File(find_format(header), hashlib.sha256(raw).hexdigest(), [])
    seen: dict[str, Line] = {}
    for cells in _read_cells(text, header, delimiter, file.left_out):
        line = file.format.read(cells)
        known = seen.setdefault(line.upstream_id, line) if line.upstream_id else line
        if known != line:
            raise cells.refuse("generation_id", _("is in the file twice, and differs"))
        if known is line:
            file.lines.append(line)
        else:
            file.left_out["repeated"] += 1
    _check(file)
    return file


def _check(file: File) -> None:
    if all(line.is_empty for line in file.lines):
        raise FileRefused(_("The file has no usage. Export other days."))
    if _sum_tokens(file) > MOST_TOKENS or _has_absurd_cost(file):
        raise FileRefused(_("The numbers of the file are too high to be those of a bill."))
    if file.last_day - file.first_day > MAX_SPAN:
        raise FileRefused(
            _("The file spans more than %(days)d days. Export fewer at once.")
            % {"days": MAX_SPAN.days}
        )


def _sum_tokens(file: File) -> int:
    """The sum of all counts. The columns of the database hold what stays below MOST_TOKENS."""
    names = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens")
    return sum(getattr(line, name) or 0 for line in file.lines for name in names)


def _has_absurd_cost(file: File) -> bool:
    """Whether the file, or a single request in it, costs more than the columns hold."""
    total = sum(line.cost or 0 for line in file.lines)
    highest = max((line.cost or 0 for line in file.lines if line.at), default=0)
    return total > MOST_USD or highest > MOST_REQUEST_USD


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise FileRefused(_("The file is too large. Export fewer days at once."))
    if raw.startswith(WORKBOOKS):
        raise FileRefused(_("This is a workbook or an archive. Export the usage as CSV."))
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise FileRefused(_("The file is no text in UTF-8. Export it again as CSV.")) from None
    if "\0" in text:
        raise FileRefused(_("The file is no text. Export the usage as CSV."))
    if not text.strip():
        raise FileRefused(_("The file is empty."))
    return text


def _read_header(text: str) -> tuple[list[str], str]:
    """The normalised names of the columns, and what separates the cells."""
    first = LINE_END.split(text.lstrip("\ufeff\r\n "), maxsplit=1)[0]
    if len(first) > MAX_HEADER:
        raise FileRefused(_("The first line is too long for the names of columns."))
    delimiter = max(DELIMITERS, key=first.count)
    (cells,) = csv.reader([first], delimiter=delimiter)
    names = [SEPARATORS.sub("_", cell.strip().lower()).strip("_") for cell in cells]
    if repeated := [name for name, count in Counter(names).items() if name and count > 1]:
        raise FileRefused(
            _("The column “%(column)s” is in the file twice.") % {"column": repeated[0]}
        )
    return names, delimiter


def _read_cells(
    text: str, header: list[str], delimiter: str, left_out: Counter[str]
) -> Iterator[Cells]:
    """Yield the lines after the header, without blank ones, repeated headers and totals."""
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) == len(header) and _is_header(cells, header):
                continue
            if reader.line_num > MAX_LINES:
                raise FileRefused(
                    _("The file has more than %(most)d lines. Export fewer days at once.")
                    % {"most": MAX_LINES}
                )
            line = _build_cells(reader.line_num, cells, header, delimiter)
            if _is_total(line):
                left_out["totals"] += 1
            else:
                yield line
    except csv.Error as error:
        raise FileRefused(
            _("Line %(line)d is no CSV: %(error)s.") % {"line": reader.line_num, "error": error}
        ) from None


def _is_total(cells: Cells) -> bool:
    """Whether a line sums up the others: it has no date, and says that it is a total."""
    when = next((cells.by_name[name] for name in DATES if name in cells), "")
    words = [when] if when else cells.by_name.values()
    return any(word.lower().rstrip(":") in TOTALS for word in words)


def _is_header(cells: list[str], header: list[str]) -> bool:
    return all(
        SEPARATORS.sub("_", cell.lower()).strip("_") == name
        for cell, name in zip(cells, header, strict=True)
    )


def _build_cells(number: int, cells: list[str], header: list[str], delimiter: str) -> Cells:
    if len(cells) != len(header):
        raise FileRefused(
            _("Line %(line)d has %(cells)d cells, the header %(columns)d. The file may be cut off.")
            % {"line": number, "cells": len(cells), "columns": len(header)}
        )
    for name, cell in zip(header, cells, strict=True):
        if cell.startswith("="):
            raise FileRefused(
                _("Line %(line)d, column “%(column)s” is a formula, which no export has.")
                % {"line": number, "column": name}
            )
    return Cells(number, dict(zip(header, cells, strict=True)), delimiter == ";")
