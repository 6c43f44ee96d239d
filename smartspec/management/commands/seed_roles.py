from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic

SUPPORT = "Support"
# Support views rows, adjusts up to SUPPORT_ADJUST_CREDITS and refunds usage. It cannot change
# prices, plans, providers or users, cannot approve, pays nobody back, and lets nobody buy again
# whose purchases are frozen. It may ask Stripe again, because that only finds out what is true.
PERMISSIONS = (
    "accounts.view_user",
    "accounts.view_plan",
    "accounts.view_apikey",
    "accounts.view_authevent",
    "credits.view_transaction",
    "credits.view_grant",
    "credits.view_hold",
    "credits.view_package",
    "credits.view_approval",
    "credits.view_purchase",
    "credits.change_purchase",
    "credits.view_packagerequest",
    "credits.change_packagerequest",
    "credits.view_subscription",
    "credits.change_subscription",
    "credits.view_refill",
    "credits.view_refillattempt",
    "credits.view_refund",
    "credits.view_paymentreversal",
    "credits.view_dispute",
    "credits.view_document",
    "credits.view_customer",
    "credits.view_paymentcomparison",
    "credits.add_transaction",
    "credits.refund_usage",
    "llmproxy.view_completion",
    "deviceauth.view_devicesession",
    "deviceauth.view_devicecode",
)


class Command(BaseCommand):
    help = (
        f"Create the group {SUPPORT}. An existing group keeps the permissions that administrators"
        " gave it, unless --reset is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reset", action="store_true", help="give the group its original permissions again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with atomic():
            group, created = Group.objects.get_or_create(name=SUPPORT)
            if created or options["reset"]:
                group.permissions.set(load_permissions())
        self.stdout.write(f"{group.name}: {'created' if created else 'already there'}")


def load_permissions() -> list[Permission]:
    """Return the rows of PERMISSIONS. Raises CommandError if one of them does not exist."""
    rows = Permission.objects.select_related("content_type")
    by_name = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    if missing := [name for name in PERMISSIONS if name not in by_name]:
        raise CommandError(
            f"Run manage.py migrate first: there is no permission {', '.join(missing)}."
        )
    return [by_name[name] for name in PERMISSIONS]
