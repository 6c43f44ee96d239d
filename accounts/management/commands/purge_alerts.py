from typing import Any

from django.core.management.base import BaseCommand

from accounts.alerts import fan_out
from accounts.webhooks import deliveries


class Command(BaseCommand):
    help = "Delete alerts older than 90 days and webhook messages older than 30. `tick` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        deliveries.forget_old()
        fan_out.forget_old()
