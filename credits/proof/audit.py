"""The audit: checks all invariants of the ledger on the rows in the database.

The ledger is read in parts with a bounded number of users and rows, so memory does not grow with
it. Each check of a part is one statement, which sees one moment of a busy account. No snapshot is
kept for long, because that would slow down rows that are updated often.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.db.models import F, Sum
from django.db.transaction import atomic

from accounts.models import User
from credits.models import Transaction
from credits.proof import replay

Repair = Callable[[int], str]

MAX_USERS = 1000  # in one part
MAX_ROWS = 50_000  # transactions in one part
ALL = 2**62  # beyond any number
ALL_USERS = 0  # in place of the id of a user
MAX_FINDINGS = 1000  # A report counts all findings and keeps the first of them.
REPLAY = 13  # the number of the invariant that credits/proof/replay.py checks
# An estimate of the rows and operations of a user. Old transactions have no number of an operation.
_WORK = F("ledger_seq") + F("ledger_ops")
REPLAYED = (
    "Replaying all operations of a user in memory gives the same rows, balances and refusals."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of an invariant: what is wrong, and what would correct it.

    `user_id` is ALL_USERS for rows that belong to nobody.
    """

    invariant: int
    user_id: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        whose = f"user {self.user_id}" if self.user_id != ALL_USERS else "all users"
        return f"invariant {self.invariant}: {whose}: {self.problem}. To correct it: {self.remedy}."


@dataclass(slots=True)
class Report:
    """The result of an audit.

    `problems` counts the findings by invariant. `not_replayed` are the ids of users that have too
    many operations for a replay, unless the user is audited alone.
    """

    users: int = 0
    transactions: int = 0
    holds: int = 0
    problems: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    not_replayed: list[int] = field(default_factory=list)

    def note(self, finding: Finding) -> None:
        self.problems[finding.invariant] += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: a sentence, and an SQL statement that finds its violations.

    The statement selects the id of the user, the problem and the remedy. Its parameters are the
    fields of a Part.
    """

    text: str
    statement: str


def load_checks(folder: Path) -> None:
    """Register the SQL files of a folder as checks.

    The first two characters of a file name are the number of the invariant, and the first line of
    the file is its sentence.
    """
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text()
        CHECKS[int(file.name[:2])] = Check(text.partition("\n")[0].removeprefix("-- "), text)


def register_repair(number: int, repair: Repair) -> None:
    """Register what corrects the violations of an invariant about rows that can be made again.

    `repair(user_id)` says in words what it did, or returns nothing if it could not.
    """
    REPAIRS[number] = repair


@dataclass(frozen=True, slots=True)
class SiteCheck:
    """An invariant about rows over all users: a sentence, and what finds its violations.

    `find(since)` yields what is wrong and what would correct it, or has corrected it. Without a
    time, all rows are checked.
    """

    text: str
    find: Callable[[datetime | None], Iterator[tuple[str, str]]]


def register_site_check(number: int, check: SiteCheck) -> None:
    """Register an invariant that no user's rows can violate, checked when all users are."""
    SITE_CHECKS[number] = check


CHECKS: dict[int, Check] = {}
SITE_CHECKS: dict[int, SiteCheck] = {}
REPAIRS: dict[int, Repair] = {}
load_checks(Path(__file__).parent / "sql")


def list_invariants() -> dict[int, str]:
    """Return the sentence of each invariant by its number, in order."""
    checks: dict[int, Check | SiteCheck] = {**CHECKS, **SITE_CHECKS}
    sentences = {number: check.text for number, check in checks.items()} | {REPLAY: REPLAYED}
    return dict(sorted(sentences.items()))


@dataclass(frozen=True, slots=True)
class Part:
    """User ids from `first` to `last` and transaction numbers from `low` to `high`, inclusive."""

    first: int
    last: int
    low: int = 1
    high: int = ALL


def run(*, user: User | None = None, since: datetime | None = None) -> Report:
    """Check one user, or the users with a transaction since a time, or all users."""
    report = Report()
    for part in _split(user, since):
        with connection.cursor() as cursor:
            _count(part, report)
            for number, check in sorted(CHECKS.items()):
                cursor.execute(check.statement, _make_parameters(part))
                for user_id, problem, remedy in cursor.fetchall():
                    done = REPAIRS[number](user_id) if number in REPAIRS else ""
                    report.note(Finding(number, user_id, problem, done or remedy))
        if part.low == 1:
            _replay(part, report, at_any_size=user is not None)
    if user is None:
        for number, site_check in sorted(SITE_CHECKS.items()):
            for problem, remedy in site_check.find(since):
                report.note(Finding(number, ALL_USERS, problem, remedy))
    return report


def find_problems(number: int, part: Part) -> list[Finding]:
    """Return what one invariant finds in a part."""
    with connection.cursor() as cursor:
        cursor.execute(CHECKS[number].statement, _make_parameters(part))
        return [Finding(number, *found) for found in cursor.fetchall()]


def _split(user: User | None, since: datetime | None) -> Iterator[Part]:
    if user is not None:
        yield from _split_rows(user.pk, user.pk)
    elif since is not None:
        for user_id in sorted(_find_active_users(since)):
            yield from _split_rows(user_id, user_id)
    else:
        yield from _split_users()


def _split_users() -> Iterator[Part]:
    """Yield parts of at most MAX_USERS users and about MAX_ROWS rows."""
    last = 0
    while users := list(
        User.objects.filter(pk__gt=last).order_by("pk").values_list("pk", _WORK)[:MAX_USERS]
    ):
        first, rows = users[0][0], 0
        for pk, operations in users:
            if rows and rows + operations > MAX_ROWS:
                yield from _split_rows(first, last)
                first, rows = pk, 0
            rows += operations
            last = pk
        yield from _split_rows(first, last)


def _split_rows(first: int, last: int) -> Iterator[Part]:
    """Yield one part for a range of users, or several parts for one user with many rows."""
    rows = User.objects.filter(pk=first).values_list("ledger_seq", flat=True).first() or 0
    if first < last or rows <= MAX_ROWS:
        yield Part(first, last)
        return
    for low in range(1, rows + 1, MAX_ROWS):
        yield Part(first, last, low, low + MAX_ROWS - 1 if low + MAX_ROWS <= rows else ALL)


def _find_active_users(since: datetime) -> set[int]:
    """Return the ids of the users with a transaction since a time.

    Transactions are read newest first, until a whole chunk is older.
    """
    active: set[int] = set()
    before = ALL
    while rows := list(
        Transaction.objects.filter(pk__lt=before)
        .order_by("-pk")
        .values_list("pk", "user_id", "created_at")[:MAX_ROWS]
    ):
        recent = {user_id for _, user_id, created_at in rows if created_at >= since}
        active |= recent
        before = rows[-1][0]
        if not recent:
            break
    return active


def _make_parameters(part: Part) -> dict[str, int]:
    return {"first": part.first, "last": part.last, "low": part.low, "high": part.high}


def _count(part: Part, report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, _make_parameters(part))
        users, transactions, holds = cursor.fetchone()
    report.transactions += transactions
    if part.low == 1:
        report.users += users
        report.holds += holds


_COUNT = """
SELECT (SELECT count(*) FROM users WHERE id BETWEEN %(first)s AND %(last)s),
       (SELECT count(*) FROM credit_transactions
         WHERE user_id BETWEEN %(first)s AND %(last)s AND seq BETWEEN %(low)s AND %(high)s),
       (SELECT count(*) FROM credit_holds WHERE user_id BETWEEN %(first)s AND %(last)s)
"""


def _replay(part: Part, report: Report, *, at_any_size: bool) -> None:
    if not at_any_size and _count_operations(part) > replay.MAX_OPERATIONS:
        report.not_replayed.append(part.first)
        return
    with _use_one_snapshot():
        users = replay.read_records(part.first, part.last)
    for user_id, records in users.items():
        for difference in _find_differences(records):
            report.note(Finding(REPLAY, user_id, difference, "see the first row that differs"))


def _find_differences(records: replay.UserRecords) -> list[str]:
    try:
        return list(replay.find_differences(records))
    except Exception as error:  # noqa: BLE001 – a broken account must not end the audit of the others
        return [f"it cannot be replayed: {error!r}"]


def _count_operations(part: Part) -> int:
    """Count for all users of the part together. A part with several users has few operations."""
    return (
        User.objects.filter(pk__range=(part.first, part.last)).aggregate(all=Sum(_WORK))["all"] or 0
    )


@contextmanager
def _use_one_snapshot() -> Iterator[None]:
    """Read all rows in one snapshot, because users may be charged at the same time."""
    if connection.in_atomic_block:
        yield
        return
    with atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
