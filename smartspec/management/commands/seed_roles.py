from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic

from smartspec.admin.roles import list_roles


class Command(BaseCommand):
    help = (
        "Create the groups Viewer, Support and Finance. An existing group keeps the permissions"
        " that administrators gave it, unless --reset is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reset", action="store_true", help="give the groups their original permissions again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with atomic():
            for name, permissions in list_roles().items():
                group, created = Group.objects.get_or_create(name=name)
                if created or options["reset"]:
                    group.permissions.set(load_permissions(permissions))
                self.stdout.write(f"{name}: {'created' if created else 'already there'}")


def load_permissions(names: Iterable[str]) -> list[Permission]:
    """Return the rows of these permissions. Raises CommandError if one of them does not exist."""
    rows = Permission.objects.select_related("content_type")
    by_name = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    if missing := [name for name in names if name not in by_name]:
        raise CommandError(
            f"Run manage.py migrate first: there is no permission {', '.join(missing)}."
        )
    return [by_name[name] for name in names]
