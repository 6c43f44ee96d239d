from typing import Any

from django.core.management.base import BaseCommand

from llmproxy.webhooks import rounds


class Command(BaseCommand):
    help = "Send the webhooks that are due to the endpoints of users. `tick` calls this."

    def handle(self, *args: Any, **options: Any) -> None:
        if sent := rounds.send_due():
            self.stdout.write(f"{sent} webhook calls")
