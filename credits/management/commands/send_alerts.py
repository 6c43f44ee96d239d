from typing import Any

from django.core.management.base import BaseCommand

from accounts.alerts import fan_out
from credits.alerts.silence import find_silence


class Command(BaseCommand):
    help = "Make mails and webhooks from the alerts that wait. `tick` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        if sent := fan_out.send_waiting(find_silence):
            self.stdout.write(f"{sent} alerts")
