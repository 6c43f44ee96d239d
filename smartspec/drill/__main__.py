"""python -m smartspec.drill: the drill in a process that has never read the site's settings."""

import argparse
import secrets
import sys

import django

from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import say

RACE_SECONDS = 20
QUICK_SECONDS = 2
MAX_SECONDS = 600  # For the whole drill.


def main() -> int:
    options = make_parser().parse_args()
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    seconds = QUICK_SECONDS if options.quick else options.seconds
    try:
        with scratch.open_scratch() as opened:
            scratch.replace_environment(opened.own_environment())
            django.setup()
            from smartspec.drill.run import Drill  # It needs the settings.

            return 0 if Drill(opened, seconds, options.seed, options.quick).run() else 1
    except DatabaseUnavailableError as error:
        say(f"SmartSpec: {error}")
        return 1
    except BaseException:
        if not signals.first:
            raise
        say("\nStopped.")  # The exception is a consequence of the signal.
        return 128 + signals.first


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options, which `manage.py ledger_drill` has, too."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--seconds", type=float, default=RACE_SECONDS, help="how long the race takes"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"race for {QUICK_SECONDS} seconds, and skip the faults that wait for timeouts",
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the seed of the race's choices"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
