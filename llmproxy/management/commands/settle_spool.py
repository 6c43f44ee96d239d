from typing import Any

from django.core.management.base import BaseCommand, CommandError

from llmproxy.completion import late_settlements


class Command(BaseCommand):
    help = (
        "Settle the completions that wait in the spool of this machine and whose worker has ended."
        " Safe to run at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settled, left = late_settlements.settle_all()
        except late_settlements.DatabaseAway as error:
            raise CommandError(f"The database settles nothing now: {error.__cause__}") from error
        if settled or left:
            self.stdout.write(f"Completions settled late: {settled}. Waiting still: {left}.")
