from typing import Any

from django.core.management.base import BaseCommand

from llmproxy.usage import folding


class Command(BaseCommand):
    help = (
        "Fold the completions of each quarter of an hour that is over into the tables of usage."
        " Safe to run at any time, and again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        folding.fold()
