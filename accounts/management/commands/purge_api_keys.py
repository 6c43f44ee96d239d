from typing import Any

from django.core.management.base import BaseCommand

from accounts import api_keys


class Command(BaseCommand):
    help = "Forget API keys that were revoked or have expired long ago."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Deleted {api_keys.purge()} API keys.")
