"""Do all invariants of the ledger hold? Asked of the rows themselves, a bounded part at a time.

Each part is a few statements of their own: none keeps a snapshot for long, which would slow every hot row,
and each sees one moment of a busy account. Memory does not grow with the ledger.
"""

from collections import Counter
from collections.abc import Iterator
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

MAX_USERS = 1000  # in one part
MAX_ROWS = 50_000  # transactions in one part
ALL = 2**62  # beyond any number
MAX_FINDINGS = 1000  # that a report keeps; all are counted
REPLAY = 13
_WORK = F("ledger_seq") + F(
    "ledger_ops"
)  # rows from before operations were numbered have no number
REPLAYED = "Replaying all operations of a user in memory gives the same rows, balances and refusals."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence, and the entry that would correct it."""

    invariant: int
    user_id: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"invariant {self.invariant}: user {self.user_id}: {self.problem}. To correct it: {self.remedy}."


@dataclass(slots=True)
class Report:
    """`problems` counts by invariant; `not_replayed` are users with more rows than are replayed at once."""

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
    """One invariant: its sentence, and the statement that selects user, problem and remedy where it does not hold."""

    text: str
    statement: str


def load(folder: Path) -> None:
    """Take up the checks of a folder; each file is named by the number of its invariant."""
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text()
        CHECKS[int(file.name[:2])] = Check(text.partition("\n")[0].removeprefix("-- "), text)


CHECKS: dict[int, Check] = {}
load(Path(__file__).parent / "sql")


def invariants() -> dict[int, str]:
    """All of them by number, in a sentence each."""
    return dict(
        sorted(
            ({number: check.text for number, check in CHECKS.items()} | {REPLAY: REPLAYED}).items()
        )
    )


@dataclass(frozen=True, slots=True)
class Part:
    """Users by id and rows by number, both ends included."""

    first: int
    last: int
    low: int = 1
    high: int = ALL


def run(*, user: User | None = None, since: datetime | None = None) -> Report:
    """Check one user, or those with a transaction since then, or everybody."""
    report = Report()
    for part in _parts(user, since):
        with connection.cursor() as cursor:
            _count(part, report)
            for number, check in sorted(CHECKS.items()):
                cursor.execute(check.statement, _params(part))
                for row in cursor.fetchall():
                    report.note(Finding(number, *row))
        if part.low == 1:
            _replay(part, report, at_any_size=user is not None)
    return report


def _parts(user: User | None, since: datetime | None) -> Iterator[Part]:
    if user is not None:
        yield from _windows(user.pk, user.pk)
    elif since is not None:
        for pk in sorted(_active(since)):
            yield from _windows(pk, pk)
    else:
        yield from _everybody()


def _everybody() -> Iterator[Part]:
    """Ranges of users with a bounded number of them, and of rows unless it is a single one."""
    last = 0
    while users := list(
        User.objects.filter(pk__gt=last).order_by("pk").values_list("pk", _WORK)[:MAX_USERS]
    ):
        first, rows = users[0][0], 0
        for pk, operations in users:
            if rows and rows + operations > MAX_ROWS:
                yield from _windows(first, last)
                first, rows = pk, 0
            rows += operations
            last = pk
        yield from _windows(first, last)


def _windows(first: int, last: int) -> Iterator[Part]:
    """One part; for a single user with many rows, several."""
    rows = User.objects.filter(pk=first).values_list("ledger_seq", flat=True).first() or 0
    if first < last or rows <= MAX_ROWS:
        yield Part(first, last)
        return
    for low in range(1, rows + 1, MAX_ROWS):
        yield Part(first, last, low, low + MAX_ROWS - 1 if low + MAX_ROWS <= rows else ALL)


def _active(since: datetime) -> set[int]:
    """Users with a transaction since then; rows are looked at newest first, until a whole part is older."""
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


def _params(part: Part) -> dict[str, int]:
    return {"first": part.first, "last": part.last, "low": part.low, "high": part.high}


def _count(part: Part, report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, _params(part))
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
    if not at_any_size and _operations(part) > replay.MAX_OPERATIONS:
        report.not_replayed.append(part.first)
        return
    with _one_moment():
        users = replay.recorded(part.first, part.last)
    for user_id, recorded in users.items():
        for difference in _differences(recorded):
            report.note(Finding(REPLAY, user_id, difference, "see the first row that differs"))


def _differences(recorded: replay.Recorded) -> list[str]:
    try:
        return list(replay.differences(recorded))
    except Exception as error:  # noqa: BLE001 – whatever one account is made of, the others are audited
        return [f"it cannot be replayed: {error!r}"]


def _operations(part: Part) -> int:
    """Of all users of this part: several are in one only if they have few together."""
    return (
        User.objects.filter(pk__range=(part.first, part.last)).aggregate(all=Sum(_WORK))["all"] or 0
    )


@contextmanager
def _one_moment() -> Iterator[None]:
    """One snapshot for all that is read of a user, because they are being charged meanwhile."""
    if connection.in_atomic_block:
        yield
        return
    with atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
