import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from smartspec.upkeep import status
from smartspec.upkeep.conditions import Level
from smartspec.upkeep.documents import build_document

MARKS = {Level.GREEN: "ok   ", Level.AMBER: "look ", Level.RED: "WRONG"}


class Command(BaseCommand):
    help = (
        "Say how the installation is, one condition a line, by area: providers, answers, money,"
        " regular jobs, mail and webhooks, database and disks, security, version and settings."
        " The exit code is 1 if something is wrong; what only has to be looked at leaves it 0."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the conditions for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        found = status.collect()
        if options["json"]:
            self.stdout.write(json.dumps(build_document(found), indent=2))
        else:
            self._write_lines(found)
        if status.find_level(found) is Level.RED:
            sys.exit(1)

    def _write_lines(self, found: list[status.AreaStatus]) -> None:
        rows = [row for part in found for row in part.conditions]
        width = max(len(row.name) for row in rows)
        for row in rows:
            self.stdout.write(f"{MARKS[row.level]}  {row.name:<{width}}  {row.says}")
