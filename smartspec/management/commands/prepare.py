from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Bring the database up to date: tables, seeds, and with DEBUG a demo login, printed if it is new."

    def handle(self, *args: Any, **options: Any) -> None:
        """One process instead of three: each would take a second to load."""
        call_command("migrate", interactive=False, stdout=self.stderr)
        call_command("seed", stdout=self.stderr)
        if settings.DEBUG:
            call_command("seed_demo", stdout=self.stdout)
