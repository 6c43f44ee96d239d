from typing import Any

from django.core.management.base import BaseCommand

from accounts.access import api_keys


class Command(BaseCommand):
    help = "Forget API keys that were revoked or have expired long ago."

    def handle(self, *args: Any, **options: Any) -> None:
        if gone := api_keys.purge():
            self.stdout.write(f"API keys deleted: {gone}.")
