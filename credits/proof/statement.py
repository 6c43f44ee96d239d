"""A user's statement: every transaction with its digest, so that it can be checked without us.

tools/verify_statement.py does that with nothing but Python.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any, TextIO

from django.db.models import TextField
from django.db.models.functions import Cast

from accounts.models import User
from credits.csv_cells import escape_cell
from credits.models import Transaction

CHUNK = 5000  # rows per statement
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
    """One object; its transactions one to a line, written as they are read."""
    account = {"id": user.pk, "publicId": user.public_id, "email": user.email}
    out.write(f'{{"account": {json.dumps(account, ensure_ascii=False)}, "transactions": [')
    separator = "\n"
    for row in rows(user):
        out.write(separator + json.dumps(row, ensure_ascii=False))
        separator = ",\n"
    out.write("\n]}\n")


def write_csv(user: User, out: TextIO) -> None:
    """A table for spreadsheets: the first column is the account, text that looks like a formula gets an apostrophe."""
    writer = csv.writer(out)
    writer.writerow(["account", *COLUMNS])
    for row in rows(user):
        writer.writerow([user.pk, *(escape_cell(row[name]) for name in COLUMNS)])


def rows(user: User) -> Iterator[dict[str, Any]]:
    """Transactions in the order of their numbers, read in short statements."""
    after = 0
    while chunk := list(
        Transaction.objects.filter(user=user, seq__gt=after)
        .annotate(facts=Cast("metadata", TextField()))
        .order_by("seq")[:CHUNK]
    ):
        yield from map(_row, chunk)
        after = chunk[-1].seq


def _row(row: Transaction) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "createdAt": row.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "type": row.type,
        "amount": row.amount,
        "balanceAfter": row.balance_after,
        "debt": row.debt,
        "debtAfter": row.debt_after,
        "description": row.description,
        "metadata": row.facts,  # type: ignore[attr-defined]  # as the database writes it: its digest is of this text
        "referenceId": row.reference_id,
        "idempotencyKey": row.idempotency_key,
        "op": row.op,
        "actor": row.actor_id,
        "hold": row.hold_id,
        "reverses": row.reverses_id,
        "expiredGrant": row.expired_grant_id,
        "digest": bytes(row.digest).hex(),
    }
