from typing import Any

from django.core.management.base import BaseCommand

from accounts import mails


class Command(BaseCommand):
    help = "Send the mails that wait to be sent; what fails is tried again later."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Sent {mails.send_due()} mails.")
