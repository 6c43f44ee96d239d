"""python -m smartspec.drill: `manage.py ledger_drill`, as a process that has never seen the site's settings."""

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
AT_MOST = 600  # seconds for all of it


def main() -> int:
    asked = parser().parse_args()
    processes.end_with_parent()
    signals.watch(AT_MOST)
    seconds = QUICK_SECONDS if asked.quick else asked.seconds
    try:
        with scratch.opened() as opened:
            scratch.become(opened.own_environment())
            django.setup()
            from smartspec.drill.run import Drill  # needs the settings

            return 0 if Drill(opened, seconds, asked.seed, asked.quick).run() else 1
    except DatabaseUnavailableError as error:
        say(f"SmartSpec: {error}")
        return 1
    except BaseException:
        if not signals.first:
            raise
        say("\nStopped.")  # and what failed because of it is no news
        return 128 + signals.first


def parser() -> argparse.ArgumentParser:
    """What may be asked, also of `manage.py ledger_drill`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--seconds", type=float, default=RACE_SECONDS, help="how long the race takes"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"race for {QUICK_SECONDS} seconds, and leave out what only waits",
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="of the race's choices"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
