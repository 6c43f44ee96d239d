from typing import Any

from django.core.management.base import BaseCommand

from accounts.access import account_deletion


class Command(BaseCommand):
    help = "Free the addresses of sign-ups that nobody has verified within UNVERIFIED_KEEP_SECONDS."

    def handle(self, *args: Any, **options: Any) -> None:
        closed = account_deletion.close_unverified()
        if closed:
            self.stdout.write(f"{closed} sign-ups that nobody verified are closed.")
