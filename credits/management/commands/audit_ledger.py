import sys
from typing import Any

from django.core.management.base import BaseCommand

from credits import audit


class Command(BaseCommand):
    help = "Check every balance against the ledger. Names what is wrong and exits with 1 if anything is."

    def handle(self, *args: Any, **options: Any) -> None:
        report = audit.run()
        for finding in report.findings:
            self.stderr.write(str(finding))
        self.stdout.write(
            f"{report.users} users, {report.transactions} transactions, {report.holds} holds checked: "
            + (f"{len(report.findings)} problems." if report.findings else "the ledger is sound.")
        )
        if report.findings:
            sys.exit(1)
