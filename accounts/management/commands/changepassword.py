from typing import Any

from django.contrib.auth.management.commands import changepassword

from accounts.access import done_by_administrators
from accounts.models import User
from accounts.toolbox.request_source import Source


class Command(changepassword.Command):
    """Django's, which knows nothing of what else gives access."""

    help = "Change a user's password; their browsers are logged out and their devices disconnected."

    def handle(self, *args: Any, **options: Any) -> str | None:
        said = super().handle(*args, **options)
        done_by_administrators.password_was_set(
            User.objects.get_by_natural_key(options["username"]), source=Source()
        )
        return said
