import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from accounts.models import User
from credits.models import AuditRun
from credits.proof import audit

READ_ONLY = 3  # The exit code if the result cannot be written down; 1 is for problems.
SHOWN = 20  # Findings on the terminal; --json has up to 1,000.


class Command(BaseCommand):
    help = (
        "Check every invariant of the ledger. Name each problem, propose the correcting entry, and"
        " exit with status 1 if there are problems."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="EMAIL", help="only this user")
        parser.add_argument(
            "--since",
            type=_parse_moment,
            metavar="TIME",
            help="only users with a transaction since then",
        )
        parser.add_argument(
            "--no-record",
            action="store_true",
            help="do not write the result down, as on a standby, which takes no writes",
        )
        parser.add_argument("--json", action="store_true", help="the whole report for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        started, is_whole = timezone.now(), options["user"] is None and options["since"] is None
        is_recorded = is_whole and not options["no_record"]
        if is_recorded and _is_read_only():
            raise CommandError(
                "This database takes no writes: run audit_ledger --no-record, which prints the"
                " result only.",
                returncode=READ_ONLY,
            )
        report = audit.run(user=_find_user(options["user"]), since=options["since"])
        if is_recorded:
            _record(started, report)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report), indent=2))
        else:
            self._write_report(report)
        if report.problems:
            sys.exit(1)

    def _write_report(self, report: audit.Report) -> None:
        for finding in report.findings[:SHOWN]:
            self.stderr.write(str(finding))
        for user_id in report.not_replayed:
            self.stderr.write(
                f"user {user_id} has too many operations to replay here: audit them alone with"
                " --user."
            )
        problems = report.problems.total()
        self.stdout.write(
            f"{report.users} users, {report.transactions} transactions, {report.holds} holds, "
            f"{len(audit.list_invariants())} invariants checked: "
            + (f"{problems} problems." if problems else "the ledger is sound.")
        )


def _parse_moment(text: str) -> datetime:
    """Read an ISO 8601 date or time; UTC if it names no zone. Raises ArgumentTypeError."""
    try:
        moment = parse_datetime(text) or datetime.combine(
            parse_date(text) or _refuse_moment(), datetime.min.time()
        )
    except ValueError:
        raise ArgumentTypeError("give a time like 2026-11-22 or 2026-11-22T10:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_default_timezone())


def _refuse_moment() -> Any:
    raise ValueError


def _find_user(email: str | None) -> User | None:
    if email is None:
        return None
    user = User.objects.find(email)
    if user is None:
        raise CommandError(f"There is no user with the address {email}.")
    return user


def _is_read_only() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        return bool(cursor.fetchone()[0])


def _record(started: datetime, report: audit.Report) -> None:
    AuditRun.objects.create(
        started_at=started,
        finished_at=timezone.now(),
        users=report.users,
        transactions=report.transactions,
        holds=report.holds,
        problems=report.problems.total(),
        first_problem=str(report.findings[0]) if report.findings else "",
    )


def _as_json(report: audit.Report) -> dict[str, Any]:
    return {
        "sound": not report.problems,
        "users": report.users,
        "transactions": report.transactions,
        "holds": report.holds,
        "invariants": [
            {"number": number, "text": text, "problems": report.problems[number]}
            for number, text in audit.list_invariants().items()
        ],
        "findings": [
            {
                "invariant": finding.invariant,
                "user": finding.user_id,
                "problem": finding.problem,
                "remedy": finding.remedy,
            }
            for finding in report.findings
        ],
        "notReplayed": report.not_replayed,
    }
