from typing import Any

from django.core.management.base import BaseCommand

from accounts import mails


class Command(BaseCommand):
    help = "Send the mails that wait to be sent; what fails is tried again later."

    def handle(self, *args: Any, **options: Any) -> None:
        if sent := mails.send_due():
            self.stdout.write(f"Mails sent: {sent}.")
