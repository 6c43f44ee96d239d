from typing import Any

from django.core.management.base import BaseCommand

from credits import ledger


class Command(BaseCommand):
    help = (
        "End holds past their expiry, whose worker died, and take away expired credits. Safe to run"
        " at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if expired := ledger.expire_holds():
            self.stdout.write(f"Holds expired: {expired}.")
