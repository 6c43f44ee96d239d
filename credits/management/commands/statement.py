from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from credits.proof import statement

FORMATS = {"csv": statement.write_csv, "json": statement.write_json}


class Command(BaseCommand):
    help = (
        "Write a user's whole statement to the output. static/credits/verify_statement.py checks it"
        " without a database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--format", choices=sorted(FORMATS), default="json")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.find(options["email"])
        if user is None:
            raise CommandError(f"There is no user with the address {options['email']}.")
        self.stdout.ending = ""
        # Django's OutputWrapper is not typed as a text file, but has the methods that are used.
        FORMATS[options["format"]](user, self.stdout)  # type: ignore[arg-type]
