"""Streams and JSON calls of many users while workers, provider and PostgreSQL are killed in turn.

    .venv/bin/python -m bench.chaos [--seconds 90] [--streams 200] [--json 20] [--patience 60] [--seed 1]

On a site of its own with two workers, which is thrown away. Exit code 1 if anything that must hold does not:
every client has an answer in time, whole or clearly not; afterwards nothing is held, and the ledger is exact.
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
APART_SECONDS = 6  # between one fault's end and the next
AT_MOST = 900  # seconds for all of it


def main() -> int:
    asked = parser().parse_args()
    processes.end_with_parent()
    signals.watch(AT_MOST)
    try:
        return 0 if run(asked) else 1
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=90, help="how long there are callers and faults"
    )
    parser.add_argument("--streams", type=int, default=200, help="callers at the same time")
    parser.add_argument("--json", type=int, default=20, help="callers at the same time")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds after which a client gives up"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the choices")
    return parser


def run(asked: argparse.Namespace) -> bool:
    """Whether everything held."""
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        port = find_free_port()
        others = isolated.bare_site(opened.folder, dict(os.environ))
        upstream = f"http://127.0.0.1:{port}/v1"
        isolated.make_tables(opened, upstream)
        from bench.chaos.faults import Provider

        provider = Provider(others, port)
        running.callback(provider.kill)
        provider.start()
        tokens = isolated.make_users()
        url = opened.database.site_url(
            opened.wire
        )  # the wire finds the database again after each restart
        gateway = running.enter_context(
            isolated.serving(opened, upstream, url, tokens, workers=WORKERS)
        )
        return kill(gateway, provider, asked)


def kill(gateway: Gateway, provider: "Provider", asked: argparse.Namespace) -> bool:
    """Let everybody call, kill one after the other meanwhile, and look at what is left."""
    from bench.chaos import faults, verdict
    from bench.chaos.load import Load

    say(
        f"{asked.streams} streams and {asked.json} JSON callers for {asked.seconds:g} s, seed {asked.seed}"
    )
    load = Load(gateway.port, gateway.tokens, patience=asked.patience, seed=asked.seed)
    scene = faults.Scene(gateway, provider, Random(asked.seed))
    until = time.monotonic() + asked.seconds
    load.start(asked.streams, asked.json, asked.seconds)
    events = list(
        faults.inflict(
            scene, until=until, apart=APART_SECONDS, streams_open=lambda: load.count.begun
        )
    )
    ended = load.wait()
    left, expired = verdict.end_of_holds()
    checked = verdict.checks(load, ended=ended, closed=books.close(0), left=left, expired=expired)
    for text in verdict.lines(load, events, checked):
        say(text)
    return all(check.good for check in checked)


if __name__ == "__main__":
    sys.exit(main())
