from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic

SUPPORT = "Support"
# Looking around, adjusting up to SUPPORT_ADJUST_CREDITS and refunding usage: nothing that changes prices,
# plans, providers or people, and nothing that approves.
MAY = (
    "accounts.view_user",
    "accounts.view_plan",
    "accounts.view_apikey",
    "accounts.view_authevent",
    "credits.view_transaction",
    "credits.view_grant",
    "credits.view_hold",
    "credits.view_package",
    "credits.view_approval",
    "credits.add_transaction",
    "credits.refund_usage",
    "llmproxy.view_completion",
    "deviceauth.view_devicesession",
    "deviceauth.view_devicecode",
)


class Command(BaseCommand):
    help = f"Create the group {SUPPORT}. Run again, it leaves the group as administrators made it, but for --reset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reset", action="store_true", help="give the group its permissions anew"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with atomic():
            group, created = Group.objects.get_or_create(name=SUPPORT)
            if created or options["reset"]:
                group.permissions.set(permissions())
        self.stdout.write(f"{group.name}: {'created' if created else 'already there'}")


def permissions() -> list[Permission]:
    """Raises CommandError rather than make a role that may less than it should."""
    every = Permission.objects.select_related("content_type")
    known = {f"{row.content_type.app_label}.{row.codename}": row for row in every}
    if missing := [name for name in MAY if name not in known]:
        raise CommandError(
            f"Run manage.py migrate first: there is no permission {', '.join(missing)}."
        )
    return [known[name] for name in MAY]
