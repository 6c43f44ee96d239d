from typing import Any

from django.core.management.base import BaseCommand

from credits.gifts import monthly_credits


class Command(BaseCommand):
    help = "Give users their plan's monthly credits, once per month. Safe to run at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        if granted := monthly_credits.grant_due():
            self.stdout.write(f"Monthly allowances granted: {granted}.")
