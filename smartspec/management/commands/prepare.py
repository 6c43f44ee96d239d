from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Bring the database up to date: tables, seeds and, with DEBUG, a demo login, which is"
        " printed when it is new."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the commands in one process, because each start of Django takes a second."""
        call_command("migrate", interactive=False, stdout=self.stderr)
        call_command("seed", stdout=self.stderr)
        if settings.DEBUG:
            call_command("seed_demo", stdout=self.stdout)
