"""The statement of a user: every transaction with its digest.

The user can check it without our software: static/credits/verify_statement.py needs only Python.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any, TextIO

from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast

from accounts.models import User
from credits.csv_cells import escape_cell
from credits.models import Transaction

CHUNK = 5000  # transactions that one SQL statement reads
COLUMNS = (
    "seq",
    "createdAt",
    "type",
    "amount",
    "balanceAfter",
    "debt",
    "debtAfter",
    "description",
    "metadata",
    "referenceId",
    "idempotencyKey",
    "op",
    "actor",
    "hold",
    "reverses",
    "expiredGrant",
    "digest",
)


def write_json(user: User, out: TextIO) -> None:
    """Write one JSON object with the account and its transactions, one transaction on each line."""
    out.writelines(format_json(user))


def format_json(user: User) -> Iterator[str]:
    """Yield the texts that `write_json` writes."""
    account = {"id": user.pk, "publicId": user.public_id, "email": user.email}
    yield f'{{"account": {json.dumps(account, ensure_ascii=False)}, "transactions": ['
    separator = "\n"
    for row in read_rows(user):
        yield separator + json.dumps(row, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def write_csv(user: User, out: TextIO) -> None:
    """Write a table for spreadsheets. The first column is the id of the account.

    A text that looks like a formula gets an apostrophe in front.
    """
    writer = csv.writer(out)
    writer.writerow(["account", *COLUMNS])
    for row in read_rows(user):
        writer.writerow([user.pk, *(escape_cell(row[name]) for name in COLUMNS)])


def read_rows(user: User) -> Iterator[dict[str, Any]]:
    """Yield the transactions in the order of their numbers, read in chunks."""
    after = 0
    while chunk := list(
        Transaction.objects.filter(user=user, seq__gt=after)
        .annotate(metadata_text=Cast("metadata", TextField()))
        .order_by("seq")[:CHUNK]
    ):
        if not connection.in_atomic_block:
            connection.close()  # It returns to the pool while the reader takes what was read.
        yield from map(_make_row, chunk)
        after = chunk[-1].seq


def _make_row(row: Transaction) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "createdAt": row.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "type": row.type,
        "amount": row.amount,
        "balanceAfter": row.balance_after,
        "debt": row.debt,
        "debtAfter": row.debt_after,
        "description": row.description,
        # The digest was computed from the text of the database, so it must not be formatted again.
        "metadata": row.metadata_text,  # type: ignore[attr-defined]
        "referenceId": row.reference_id,
        "idempotencyKey": row.idempotency_key,
        "op": row.op,
        "actor": row.actor_id,
        "hold": row.hold_id,
        "reverses": row.reverses_id,
        "expiredGrant": row.expired_grant_id,
        "digest": bytes(row.digest).hex(),
    }
