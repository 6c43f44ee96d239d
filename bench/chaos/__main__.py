"""Send streams and JSON calls of many users while everything around them goes wrong.

    .venv/bin/python -m bench.chaos [--seconds 90] [--streams 200] [--json 20] [--patience 60]
        [--seed 1] [--only drain,read-only,pooler,failover,disk,clock,kill,frozen]

The program starts its own temporary site with two workers. The exit code is 1 if a check fails:
every client must get a response in time that is complete or clearly incomplete; afterwards nothing
may wait on disk, no hold may be open, and the ledger must be exact. As root it mounts a small disk
for itself, which it fills. PgBouncer is found in the folder PROGRAMS.
"""

import argparse
import os
import secrets
import sys
import time
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

from bench import books, isolated
from bench.chaos import stage
from bench.isolated import Gateway
from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, say

if TYPE_CHECKING:
    from bench.chaos.faults import Provider

WORKERS = 2
APART_SECONDS = 6  # Between the end of one fault and the next.
MAX_SECONDS = 900  # For the whole program.


def main() -> int:
    options = make_parser().parse_args()
    stage.enter_small_disk()
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    try:
        return 0 if run(options) else 1
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=240, help="the duration of the calls and faults"
    )
    parser.add_argument("--streams", type=int, default=200, help="concurrent callers with streams")
    parser.add_argument("--json", type=int, default=20, help="concurrent callers without streams")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds after which a client gives up"
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="the seed of random choices"
    )
    parser.add_argument(
        "--only", default="", help="words in the names of the faults, separated by commas"
    )
    return parser


def run(options: argparse.Namespace) -> bool:
    """Start the site, run the faults, and return True if all checks hold."""
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        port, spool = find_free_port(), os.environ.get("SPOOL_DIR", str(opened.folder / "spool"))
        ours = {name: os.environ[name] for name in stage.OURS if name in os.environ}
        others = isolated.make_bare_site(opened.folder, dict(os.environ))
        upstream = f"http://127.0.0.1:{port}/v1"
        isolated.make_tables(opened, upstream)
        from django.conf import settings

        os.environ |= ours
        settings.SPOOL_DIR = spool
        from bench.chaos.faults import Provider

        provider = Provider(others, port)
        running.callback(provider.kill)
        provider.start()
        tokens = isolated.make_users()
        # The proxy connects to the database's new port after each restart.
        url = opened.database.site_url(opened.wire)
        clock = stage.MovedClock(opened.folder)
        more = {"SPOOL_DIR": spool, **clock.environment}
        gateway = running.enter_context(
            isolated.run_gateway(
                opened, upstream, url, tokens, workers=WORKERS, command=stage.GUNICORN, **more
            )
        )
        return run_faults(gateway, provider, clock, options)


def run_faults(
    gateway: Gateway, provider: "Provider", clock: stage.MovedClock, options: argparse.Namespace
) -> bool:
    """Start the callers, cause one fault after the other, and check the result."""
    from bench.chaos import faults, verdict
    from bench.chaos.load import Load

    kinds, skipped = faults.choose_kinds([word for word in options.only.split(",") if word])
    for text in skipped:
        say(f"left out: {text}")
    say(
        f"{options.streams} streams and {options.json} JSON callers for {options.seconds:g} s,"
        f" seed {options.seed}"
    )
    load = Load(gateway.port, gateway.tokens, patience=options.patience, seed=options.seed)
    scene = faults.Scene(gateway, provider, Random(options.seed), clock)
    until = time.monotonic() + options.seconds
    load.start(options.streams, options.json, options.seconds)
    with scene.running:
        events = list(
            faults.cause_faults(
                scene,
                kinds,
                until=until,
                apart=APART_SECONDS,
                streams_open=lambda: load.count.begun,
            )
        )
        ended = load.wait()
        rest = verdict.wait_for_the_rest()
    has_killed = any(kinds[event.name] in faults.KILLERS for event in events)
    checks = verdict.make_checks(
        load, ended=ended, closed=books.close_books(0), rest=rest, has_killed=has_killed
    )
    for text in verdict.format_report(load, events, checks):
        say(text)
    return all(check.passed for check in checks)


if __name__ == "__main__":
    sys.exit(main())
