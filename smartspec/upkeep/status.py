"""How the installation is, as facts: for `manage.py status`, the admin, and whoever measures.

Each function asks the database as it is now, and may raise django.db.Error. Ages are taken from the
database's clock, because a web server's clock may be wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, Q
from django.utils import timezone

from accounts import jobs, mails
from accounts.models import OutgoingMail
from credits.countdown import format_duration
from credits.models import (
    AuditRun,
    Customer,
    Hold,
    PaymentComparison,
    PaymentEvent,
    Purchase,
    Subscription,
)
from credits.stripe_api.client import is_configured
from credits.subscriptions import endings
from llmproxy.spool import folder
from smartspec.upkeep.jobs import OF_EACH_MACHINE, OF_ONE_MACHINE

LATE = timedelta(minutes=15)  # `tick` runs every minute; the daily audit takes some of them.


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: whether it is as it should be, a sentence, and its values for a program."""

    name: str
    is_fine: bool
    says: str
    values: dict[str, Any]


def collect_facts() -> list[Fact]:
    """Return all facts. What the database does not tell is a fact that is not fine.

    If the database does not answer at all, it is asked once only, because each try waits for it.
    """
    facts = [*_ask_safely("spool", check_spool), *_ask_safely("database", check_database)]
    if facts[-1].values:
        for name, ask in QUESTIONS.items():
            facts += _ask_safely(name, ask)
    return facts


def _ask_safely(name: str, ask: Callable[[], Iterator[Fact]]) -> list[Fact]:
    try:
        return list(ask())
    except (Error, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return [Fact(name, is_fine=False, says=f"cannot be told: {reason}", values={})]


def read_clock() -> datetime:
    """Return the time by the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


def check_database() -> Iterator[Fact]:
    """Whether the database takes writes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'off'")
        (is_writable,) = cursor.fetchone()
    says = "takes writes" if is_writable else "is read-only: a standby, or set so"
    yield Fact("database", bool(is_writable), says, {"writable": bool(is_writable)})


def check_migrations() -> Iterator[Fact]:
    """Whether the tables are those that this code expects."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    says = f"{len(names)} are missing, the first is {names[0]}" if names else "all are applied"
    yield Fact("migrations", not names, says, {"missing": names})


def check_jobs() -> Iterator[Fact]:
    """When each job of `tick` was last done, and whether that is too long ago."""
    runs, now = jobs.list_runs(), read_clock()
    for job in (OF_EACH_MACHINE, *OF_ONE_MACHINE):
        finished = runs.get(job)
        is_late = finished is None or now - finished > LATE
        says = f"done {_describe_age(now, finished)}" + (", which is late" if is_late else "")
        values = {"finished_at": finished.timestamp() if finished else None}
        yield Fact(f"job {job}", not is_late, says, values)


def find_silence() -> timedelta | None:
    """How long `tick` has done none of its jobs, if that is too long; timedelta.max if ever.

    The spool is left out, because each machine does it for itself.
    """
    now = read_clock()
    ends = [end for job, end in jobs.list_runs().items() if end and job in OF_ONE_MACHINE]
    silence = now - max(ends) if ends else timedelta.max
    return silence if silence > LATE else None


def check_holds() -> Iterator[Fact]:
    """The open holds, and those that should have ended long ago."""
    overdue_before = read_clock() - LATE
    counts = Hold.objects.filter(state=Hold.State.OPEN).aggregate(
        open=Count("pk"), overdue=Count("pk", filter=Q(expires_at__lt=overdue_before))
    )
    says = f"{counts['open']} open, {counts['overdue']} of them overdue"
    yield Fact("holds", not counts["overdue"], says, counts)


def check_spool() -> Iterator[Fact]:
    """What waits on the disk of this machine to be settled."""
    waiting = folder.count_waiting()
    says = f"{waiting.records} charges wait on this machine, {waiting.damaged} files are damaged"
    if waiting.since is not None:
        since = datetime.fromtimestamp(waiting.since, tz=timezone.get_default_timezone())
        says += f", the oldest since {since:%Y-%m-%d %H:%M:%S} UTC"
    values = {"waiting": waiting.records, "damaged": waiting.damaged, "since": waiting.since}
    yield Fact("spool", not (waiting.records or waiting.damaged), says, values)


def check_mails() -> Iterator[Fact]:
    """The mails that wait, and those that were given up."""
    now = read_clock()
    waits = Q(tries__lt=mails.TRIES)
    counts = OutgoingMail.objects.aggregate(
        waiting=Count("pk", filter=waits),
        oldest=Min("created_at", filter=waits),
        given_up=Count("pk", filter=~waits),
    )
    oldest = (now - counts["oldest"]).total_seconds() if counts["oldest"] else 0.0
    is_fine = not counts["given_up"] and oldest <= LATE.total_seconds()
    says = f"{counts['waiting']} wait, {counts['given_up']} were given up"
    if counts["oldest"]:
        says += f", the oldest was queued {_describe_age(now, counts['oldest'])}"
    yield Fact("mails", is_fine, says, {**counts, "oldest": round(oldest)})


def check_audit() -> Iterator[Fact]:
    """The last audit of the whole ledger."""
    run, now = AuditRun.objects.order_by("-id").first(), read_clock()
    finished = run.finished_at if run else None
    stale = timedelta(seconds=settings.AUDIT_STALE_SECONDS)
    is_late = finished is None or now - finished > stale
    problems = run.problems if run else 0
    says = f"done {_describe_age(now, finished)}, {problems} problems"
    values = {"finished_at": finished.timestamp() if finished else None, "problems": problems}
    yield Fact("audit", not (is_late or problems), says, values)


def check_payments() -> Iterator[Fact]:
    """The events and purchases that need somebody, and the last comparison with Stripe."""
    now, events = read_clock(), PaymentEvent.objects
    last = PaymentComparison.objects.order_by("-id").first()
    counts = {
        "failed_events": events.filter(state=PaymentEvent.State.FAILED).count(),
        "late_events": events.filter(
            state=PaymentEvent.State.WAITING, received_at__lt=now - LATE
        ).count(),
        "in_review": Purchase.objects.in_review().count(),
        "problems": last.problems if last else 0,
    }
    if not is_configured() and not any(counts.values()):
        yield Fact("payments", is_fine=True, says="nothing can be paid online", values=counts)
        return
    finished = last.finished_at if last else None
    stale = timedelta(seconds=settings.AUDIT_STALE_SECONDS)
    is_late = is_configured() and (finished is None or now - finished > stale)
    says = (
        f"{counts['failed_events']} events failed, {counts['late_events']} are late,"
        f" {counts['in_review']} purchases are in review; compared with Stripe"
        f" {_describe_age(now, finished)}, {counts['problems']} problems"
    )
    values = {**counts, "compared_at": finished.timestamp() if finished else None}
    yield Fact("payments", not (is_late or any(counts.values())), says, values)


def check_subscriptions() -> Iterator[Fact]:
    """The closed accounts that Stripe has not forgotten yet, and plans that differ from Stripe."""
    running = Subscription.objects.filter(ended_at=None)
    counts = {
        "to_end": endings.list_waiting().filter(end_asked_at__lt=read_clock() - LATE).count(),
        "to_forget": Customer.objects.filter(forget_since__isnull=False).count(),
        "problems": running.exclude(problem="").count(),
        "past_due": running.filter(status__in=["past_due", "unpaid"]).count(),
        "running": running.filter(status__in=Subscription.IN_FORCE).count(),
    }
    says = (
        f"{counts['running']} run, {counts['past_due']} are past due, {counts['problems']} differ"
        f" from Stripe; {counts['to_forget']} closed accounts are not forgotten at Stripe,"
        f" {counts['to_end']} plans have not ended that must"
    )
    is_fine = not (counts["to_forget"] or counts["problems"] or counts["to_end"])
    yield Fact("subscriptions", is_fine, says, counts)


def _describe_age(now: datetime, then: datetime | None) -> str:
    return f"{format_duration(max(now - then, timedelta()))} ago" if then else "never"


QUESTIONS: dict[str, Callable[[], Iterator[Fact]]] = {
    "migrations": check_migrations,
    "jobs": check_jobs,
    "holds": check_holds,
    "mails": check_mails,
    "audit": check_audit,
    "payments": check_payments,
    "subscriptions": check_subscriptions,
}
