import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from smartspec.drill.__main__ import make_parser
from smartspec.drill.scratch import ROOT


class Command(BaseCommand):
    help = (
        "Prove that no credit is lost: kill workers, backends and PostgreSQL at every step of a"
        " completion, race many processes, and audit. Everything happens in a scratch database; the"
        " site's own database is not touched."
    )
    requires_system_checks = []

    def add_arguments(self, own: ArgumentParser) -> None:
        for action in make_parser()._actions:
            own._add_action(action)

    def handle(self, *args: Any, seconds: float, quick: bool, seed: int, **options: Any) -> None:
        """Replace this process with the drill, which must not know the settings of this site."""
        arguments = ["--seconds", str(seconds), "--seed", str(seed)]
        quick_argument = ["--quick"] if quick else []
        os.chdir(ROOT)
        os.execv(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", "smartspec.drill", *arguments, *quick_argument],
        )
