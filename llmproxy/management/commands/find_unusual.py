from typing import Any

from django.core.management.base import BaseCommand

from accounts import jobs
from llmproxy.usage import unusual

LEASE, SECONDS = "find_unusual", 60 * 60


class Command(BaseCommand):
    help = "Note alerts about users who use far more than usual, once an hour. `tick` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        """The lease is kept: an hour has four quarters, and no quarter alone is unusual."""
        if jobs.take_lease(LEASE, holder=jobs.make_holder(), seconds=SECONDS):
            unusual.find_unusual()
