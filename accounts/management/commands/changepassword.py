from typing import Any

from django.contrib.auth.management.commands import changepassword

from accounts.access import done_by_administrators
from accounts.models import User
from accounts.toolbox.request_source import Source


class Command(changepassword.Command):
    """Django's command, which by itself would not end device sessions."""

    help = "Change a user's password; their browsers are logged out and their devices disconnected."

    def handle(self, *args: Any, **options: Any) -> str | None:
        output = super().handle(*args, **options)
        done_by_administrators.finish_password_change(
            User.objects.get_by_natural_key(options["username"]), source=Source()
        )
        return output
