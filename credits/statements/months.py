"""What the statement of a calendar month (UTC) says.

A month has the transactions from a first to a last number. So there is no gap between months, and
the digest at the end of one month is the digest at the beginning of the next one.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from accounts.models import User
from accounts.toolbox.keyset import find_first_key
from credits.models import Transaction
from credits.months import format_month, number_month, parse_month, start_month
from credits.proof import audit

MOST_MONTHS = 60  # of which the list has links
MOST_VERIFIED = 20_000  # transactions whose digests one page computes again
DIGESTS = 12  # the invariant about them
MONTH = re.compile(r"2\d{3}-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Statement:
    """Credits and digests before and after a month, and the sums of what moved them.

    `first` and `last` are the numbers of its transactions; `last` is below `first` if there are
    none. `problems` are what the check of the digests and balances found, None if there are too
    many transactions to check them here.
    """

    month: str
    start: datetime
    end: datetime
    first: int
    last: int
    opening: int
    closing: int
    opening_digest: str
    closing_digest: str
    sums: list[dict[str, Any]]
    problems: list[str] | None

    @property
    def rows(self) -> int:
        return self.last - self.first + 1

    @property
    def is_over(self) -> bool:
        return self.end <= timezone.now()


def list_months(user: User) -> list[str]:
    """Return the months from the user's first transaction to the last one, newest first."""
    own = Transaction.objects.filter(user=user)
    first, last = own.order_by("seq").first(), own.order_by("seq").last()
    if first is None or last is None:
        return []
    numbers = range(number_month(first.created_at.date()), number_month(last.created_at.date()) + 1)
    return [format_month(number) for number in reversed(numbers)][:MOST_MONTHS]


def find_month(text: str) -> int | None:
    """Return the number of a month such as 2026-11; None for a text that names none."""
    return parse_month(text) if MONTH.fullmatch(text) else None


def make_statement(user: User, number: int) -> Statement:
    """Compute the statement of a month."""
    own = Transaction.objects.filter(user=user)
    start, end = start_month(number), start_month(number + 1)
    first = max(1, find_first_key(own, "seq", "created_at", start))
    last = max(first, find_first_key(own, "seq", "created_at", end)) - 1
    before, after = _find_row(own, first - 1), _find_row(own, last)
    sums = list(
        own.filter(seq__gte=first, seq__lte=last)
        .values("type")
        .annotate(rows=Count("pk"), amount=Sum("amount"))
        .order_by("type")
    )
    statement = Statement(
        month=format_month(number),
        start=start,
        end=end,
        first=first,
        last=last,
        opening=before.balance_after if before else 0,
        closing=after.balance_after if after else 0,
        opening_digest=bytes(before.digest).hex() if before else "",
        closing_digest=bytes(after.digest).hex() if after else "",
        sums=[{**row, "label": Transaction.Type(row["type"]).label} for row in sums],
        problems=None,
    )
    return _verify(user, statement)


def list_rows(user: User, statement: Statement, after: int, size: int) -> list[Transaction]:
    """Return at most `size` transactions of the month, in their order, after that number."""
    rows = Transaction.objects.filter(user=user, seq__gt=max(after, statement.first - 1))
    return list(rows.filter(seq__lte=statement.last).order_by("seq")[:size])


def _find_row(own: QuerySet[Transaction], seq: int) -> Transaction | None:
    return own.filter(seq__lte=seq).order_by("-seq").first()


def _verify(user: User, statement: Statement) -> Statement:
    """Return the statement with the problems of its digests and sums."""
    if statement.rows > MOST_VERIFIED:
        return statement
    found = []
    if statement.rows:
        part = audit.Part(user.pk, user.pk, statement.first, statement.last)
        found = [finding.problem for finding in audit.find_problems(DIGESTS, part)]
    moved = sum(row["amount"] for row in statement.sums)
    if statement.opening + moved != statement.closing:
        found.append(f"{statement.opening} and {moved} are not {statement.closing}")
    return replace(statement, problems=found)
