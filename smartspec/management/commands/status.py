import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from smartspec.upkeep import status


class Command(BaseCommand):
    help = (
        "Say how the installation is, one fact a line: database, migrations, jobs of tick, holds,"
        " spool, mails, last audit. The exit code is 1 if something is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="the facts for a program")

    def handle(self, *args: Any, **options: Any) -> None:
        facts = status.collect_facts()
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(facts), indent=2))
        else:
            width = max(len(fact.name) for fact in facts)
            for fact in facts:
                mark = "ok   " if fact.is_fine else "WRONG"
                self.stdout.write(f"{mark}  {fact.name:<{width}}  {fact.says}")
        if not all(fact.is_fine for fact in facts):
            sys.exit(1)


def _as_json(facts: list[status.Fact]) -> dict[str, Any]:
    return {
        "fine": all(fact.is_fine for fact in facts),
        "facts": {
            fact.name: {"fine": fact.is_fine, "says": fact.says, **fact.values} for fact in facts
        },
    }
