import secrets
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User

EMAIL = "demo@example.com"


class Command(BaseCommand):
    help = "Create the demo login with a random password and print both, once. Only if DEBUG is on."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo login is for development: DEBUG is off.")
        if User.objects.filter(email=EMAIL).exists():
            return
        password = secrets.token_urlsafe(12)
        call_command("create_user", EMAIL, password=password, stdout=StringIO())
        self.stdout.write(f"{EMAIL} {password}")
