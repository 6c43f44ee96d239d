from typing import Any

from django.core.management.base import BaseCommand

from accounts import jobs
from credits.alerts.expiring import MOST, find_expiring

LEASE, SECONDS = "find_expiring", 60 * 60


class Command(BaseCommand):
    help = "Note alerts about credits that expire soon, once an hour. `tick` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        """The lease is kept, so that the grants of the week are not read every minute."""
        holder = jobs.make_holder()
        if jobs.take_lease(LEASE, holder=holder, seconds=SECONDS) and find_expiring() >= MOST:
            jobs.give_back_lease(LEASE, holder=holder)
