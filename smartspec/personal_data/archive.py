"""Writes the archive: a ZIP file that is streamed while its rows are read.

Each table is a JSON file and a CSV file. The rows are read in chunks by their primary keys, which
are read first: so both files have the same rows, no long transaction is open, and no connection is
kept while a slow reader takes the file.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Field, Model, Q

from accounts.models import User
from credits.csv_cells import format_csv
from smartspec.personal_data.tables import EXPORTED, Table

CHUNK = 500  # rows read by one statement
MAX_ROWS = 500_000  # of one table; the newest are kept
CUT = "Only the newest rows are in this file."
Write = Callable[[bytes], Any]


class _Pipe:
    """A file object for writing only; `take` returns and removes the bytes written so far."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: `take` empties it."""

    def take(self) -> bytes:
        data, self.written = b"".join(self.written), []
        return data


def stream_archive(user: User, readme: str) -> Iterator[bytes]:
    """Yield the bytes of the archive."""
    pipe = _Pipe()
    file_object: Any = pipe  # A file that cannot seek needs only `write` and `flush`.
    with zipfile.ZipFile(file_object, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", readme)
        for table in EXPORTED:
            for name, texts in _write_files(table, user):
                with archive.open(name, "w", force_zip64=True) as file:
                    for text in texts:
                        file.write(text.encode())
                        yield pipe.take()
    yield pipe.take()


def list_columns(table: Table) -> list[Field[Any, Any]]:
    """Return the columns of a table that the archive has."""
    fields = apps.get_model(table.model)._meta.concrete_fields
    return [column for column in fields if column.name not in table.hidden]


def _write_files(table: Table, user: User) -> Iterator[tuple[str, Iterator[str]]]:
    keys = _list_keys(table, user)
    is_cut = len(keys) > MAX_ROWS
    keys = keys[-MAX_ROWS:]
    yield f"json/{table.name}.json", _write_json(table, keys, is_cut)
    yield f"csv/{table.name}.csv", _write_csv(table, keys, is_cut)


def _list_keys(table: Table, user: User) -> list[Any]:
    """Return the primary keys of the user's rows, oldest first; one more than MAX_ROWS if cut."""
    wanted = Q()
    for path in table.paths:
        wanted |= Q(**{path: user.pk})
    rows = apps.get_model(table.model)._default_manager.filter(wanted).order_by("-pk")
    keys = rows.values_list("pk", flat=True).distinct()[: MAX_ROWS + 1]
    return list(keys)[::-1]


def _read_rows(table: Table, keys: list[Any]) -> Iterator[list[tuple[str, Any]]]:
    """Yield the rows with the names of their columns. Rows deleted meanwhile are left out."""
    columns = list_columns(table)
    model: type[Model] = apps.get_model(table.model)
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        found = model._default_manager.in_bulk(chunk)
        if not connection.in_atomic_block:
            connection.close()  # It returns to the pool while the client reads.
        for row in (found[key] for key in chunk if key in found):
            yield [(column.name, _read_value(table, row, column)) for column in columns]


def _read_value(table: Table, row: Model, column: Field[Any, Any]) -> Any:
    value = getattr(row, column.attname)
    cleaner = table.cleaners.get(column.name)
    return _make_plain(cleaner(value) if cleaner and value else value)


def _make_plain(value: Any) -> Any:
    """Return the value as JSON has it. Times have their offset, numbers keep all digits."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if value is None or isinstance(value, bool | int | str | list | dict):
        return value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _write_json(table: Table, keys: list[Any], is_cut: bool) -> Iterator[str]:  # noqa: FBT001
    yield json.dumps({"table": table.model, "complete": not is_cut})[:-1] + ', "rows": ['
    separator = "\n"
    for row in _read_rows(table, keys):
        yield separator + json.dumps(dict(row), ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def _write_csv(table: Table, keys: list[Any], is_cut: bool) -> Iterator[str]:  # noqa: FBT001
    def write_rows() -> Iterator[list[Any]]:
        yield [column.name for column in list_columns(table)]
        for row in _read_rows(table, keys):
            yield [_make_cell(value) for _name, value in row]
        if is_cut:
            yield [CUT]

    return format_csv(write_rows())


def _make_cell(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
