import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from smartspec.drill.__main__ import parser
from smartspec.drill.scratch import ROOT


class Command(BaseCommand):
    help = (
        "Kill workers, backends and PostgreSQL at every step of a completion, race many processes, and audit: the proof"
        " that no credit is lost. All of it on a scratch database; the site's own is not touched."
    )
    requires_system_checks = []

    def add_arguments(self, own: ArgumentParser) -> None:
        for action in parser()._actions:
            own._add_action(action)

    def handle(self, *args: Any, seconds: float, quick: bool, seed: int, **options: Any) -> None:
        """Become another program, which knows no setting of this site."""
        asked = ["--seconds", str(seconds), "--seed", str(seed), *(["--quick"] if quick else [])]
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "smartspec.drill", *asked])  # noqa: S606
