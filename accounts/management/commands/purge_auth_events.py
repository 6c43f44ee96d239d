from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.models import AuthEvent

MAX_EVENTS = 10_000  # in one run; tick runs the command again


class Command(BaseCommand):
    help = "Delete the events of access that are older than AUTH_EVENT_KEEP_DAYS."

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - timedelta(days=settings.AUTH_EVENT_KEEP_DAYS)
        # The oldest events have the lowest ids, so one bounded slice of the index is enough.
        oldest = AuthEvent.objects.order_by("id")[:MAX_EVENTS].values_list("pk", "created_at")
        due = [pk for pk, created_at in oldest if created_at < before]
        gone, _ = AuthEvent.objects.filter(pk__in=due).delete()
        if gone:
            self.stdout.write(f"Events deleted: {gone}.")
