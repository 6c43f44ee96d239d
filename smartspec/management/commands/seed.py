from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from llmproxy import catalogue


class Command(BaseCommand):
    help = (
        "Create the data of a new installation: packages, a role, and the models of"
        " LLM_UPSTREAM_MODELS. Idempotent."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("seed_packages", stdout=self.stdout)
        call_command("seed_roles", stdout=self.stdout)
        self.stdout.write(f"{catalogue.adopt_environment()} models from the environment created.")
