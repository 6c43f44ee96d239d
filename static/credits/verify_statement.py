#!/usr/bin/env python3
"""Check a statement without a database: verify_statement.py FILE [EARLIER]

FILE is the output of `manage.py statement`, JSON or CSV. The program checks that the numbers have
no gaps, that each balance is the previous balance plus the amount, and that each digest is the
SHA-256 of the previous digest and the row's own values. EARLIER is an older statement of the same
account, whose rows must all be in FILE unchanged. If a check fails, the program prints a sentence
and exits with 1.
"""

import csv
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

Row = dict[str, Any]
NUMBERS = ("seq", "amount", "balanceAfter", "debt", "debtAfter", "op")
OPTIONAL = ("actor", "hold", "reverses", "expiredGrant")
TEXTS = ("description", "metadata", "referenceId")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wrong(Exception):
    pass


def read(path: str) -> tuple[int | None, list[Row]]:
    """Return the account's id, None if there are no rows, and the rows. Raises Wrong."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            return parse_statement(file)
    except OSError as error:
        raise Wrong(f"it cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise Wrong("it is not a whole statement") from None


def parse_statement(file: TextIO) -> tuple[int | None, list[Row]]:
    if file.read(1) == "{":
        file.seek(0)
        statement = json.load(file)
        return statement["account"]["id"], statement["transactions"]
    file.seek(0)
    csv.field_size_limit(sys.maxsize)
    table = csv.DictReader(file)
    cells = list(table)
    if "digest" not in (table.fieldnames or ()):
        raise ValueError
    return (int(cells[0]["account"]) if cells else None), [parse_row(row) for row in cells]


def parse_row(cells: dict[str, str]) -> Row:
    row: Row = {name: int(cells[name]) for name in NUMBERS}
    row.update({name: int(cells[name]) if cells[name] else None for name in OPTIONAL})
    row.update({name: cells[name].removeprefix("'") for name in TEXTS})
    row["idempotencyKey"] = cells["idempotencyKey"].removeprefix("'") or None
    return {**row, **{name: cells[name] for name in ("createdAt", "type", "digest")}}


def compute_digest(account: int | None, row: Row, before: bytes) -> bytes:
    """Return the digest of the row; `before` is the digest of the previous row."""
    facts = [
        *(
            account,
            row["seq"],
            row["op"],
            row["type"],
            row["amount"],
            row["balanceAfter"],
            row["debt"],
            row["debtAfter"],
        ),
        *(row["description"], row["metadata"], row["referenceId"], row["idempotencyKey"]),
        (datetime.fromisoformat(row["createdAt"]) - EPOCH) // timedelta(microseconds=1),
        *(row[name] for name in OPTIONAL),
    ]
    return hashlib.sha256(before + json.dumps(facts, ensure_ascii=False).encode()).digest()


def check(account: int | None, rows: list[Row]) -> int:
    """Check all rows and return the balance after the last one. Raises Wrong."""
    seq = balance = debt = op = 0
    before = b""
    for row in rows:
        seq, balance, debt = seq + 1, balance + row["amount"], debt + row["debt"]
        if row["seq"] != seq:
            raise Wrong(f"transaction {seq} is missing: the next one is number {row['seq']}")
        if (row["balanceAfter"], row["debtAfter"]) != (balance, debt):
            raise Wrong(
                f"transaction {seq} leaves {row['balanceAfter']}, but the rows sum to {balance}"
            )
        # The first rows may be older than the digests: then they have neither `op` nor `digest`.
        if (row["op"] or op) and compute_digest(account, row, before).hex() != row["digest"]:
            raise Wrong(f"transaction {seq} is not what was written: its digest is another one")
        before, op = bytes.fromhex(row["digest"]), row["op"]
    return balance


def check_files(path: str, earlier: str | None = None) -> str:
    account, rows = read(path)
    try:
        balance = check(account, rows)
    except (ValueError, KeyError, TypeError):
        raise Wrong("it is not a whole statement") from None
    if earlier is not None:
        earlier_account, earlier_rows = read(earlier)
        if earlier_rows and (
            earlier_account != account or rows[: len(earlier_rows)] != earlier_rows
        ):
            raise Wrong("it is not a continuation of the earlier statement")
    old = sum(not row["op"] for row in rows)
    return (
        f"{len(rows)} transactions, balance {balance}: none was changed or left out in between"
        f"{f', but the first {old} are older than digests' if old else ''}. "
        "Rows missing at the end show in the balance, or against a longer statement"
    )


def main(paths: list[str]) -> int:
    try:
        print(f"{paths[0]}: {check_files(*paths)}.")
    except Wrong as wrong:
        print(f"{paths[0]}: {wrong}.")
        return 1
    return 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
