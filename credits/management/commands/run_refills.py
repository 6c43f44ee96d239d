from typing import Any

from django.core.management.base import BaseCommand

from credits.refills import charging
from credits.stripe_api.client import is_configured


class Command(BaseCommand):
    help = (
        "Charge the refills that are due, and ask Stripe again about those without an answer. Safe"
        " to run at any time, also twice at once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if is_configured() and (attempts := charging.run_due()):
            self.stdout.write(f"Refills worked on: {attempts}.")
