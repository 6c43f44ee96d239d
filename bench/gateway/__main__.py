"""The gateway beside its peers, all on loopback: `make bench`.

    .venv/bin/python -m bench.gateway [--rounds 2] [--seconds 8] [--peers litellm,portkey,nginx] [--no-crowd] [--write]

Starts a mock provider, a site of its own on a durable PostgreSQL, with one gunicorn worker and 1,000 users, and each
peer; asks them in turn and prints medians and ratios. Peers are installed at their first run (LiteLLM: 740 MB).
With --write, docs/benchmarks.md keeps the tables.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import isolated, mock
from bench.gateway import figures, peers, tables, wrk
from bench.gateway.figures import Plan
from bench.gateway.packages import PeerAbsentError
from bench.gateway.targets import DIRECT, OURS, Target
from smartspec.drill import scratch
from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, say

AT_MOST = 3600  # seconds for all of it


def main() -> int:
    asked = parser().parse_args()
    processes.end_with_parent()
    signals.watch(AT_MOST)
    try:
        run(asked)
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument(
        "--peers",
        type=names,
        default=list(peers.PEERS),
        help="which, separated by commas; may be empty",
    )
    parser.add_argument(
        "--no-crowd", dest="crowd", action="store_false", help=f"no {figures.CROWD} streams at once"
    )
    parser.add_argument(
        "--write", action="store_true", help="keep the tables in docs/benchmarks.md"
    )
    return parser


def names(text: str) -> list[str]:
    """Names of peers. Raises ArgumentTypeError."""
    wanted = [name for name in text.split(",") if name]
    if unknown := set(wanted) - set(peers.PEERS):
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(sorted(unknown))}")
    return wanted


def run(asked: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    there = dict(
        _installed(asked.peers)
    )  # with the variables of this shell, which pip and npm may need
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        port = find_free_port()
        others = isolated.bare_site(opened.folder, dict(os.environ))
        source = running.enter_context(mock.running(others, port))
        targets = [
            Target(DIRECT, port, source.process.pid),
            _ours(opened, port, running),
            *_theirs(there, port, opened, running),
        ]
        if not wrk.is_there():
            say(wrk.HINT)
        plan = Plan(asked.rounds, asked.seconds, asked.crowd)
        measured = figures.measure(targets, plan, opened.folder)
    text = tables.section(measured, [target.name for target in targets], plan, load)
    say(f"\n{text}")
    if asked.write:
        tables.write(text)


def _ours(opened: scratch.Scratch, port: int, running: ExitStack) -> Target:
    upstream = f"http://127.0.0.1:{port}/v1"
    isolated.make_tables(opened, upstream)
    tokens = isolated.make_users()
    url = isolated.direct_url(opened)
    gateway = running.enter_context(isolated.serving(opened, upstream, url, tokens))
    say(f"  {OURS} has {len(tokens):,} users and one worker")
    return Target(
        OURS, gateway.port, gateway.workers[0], tokens=tuple(tokens), database=gateway.postmaster
    )


def _installed(wanted: list[str]) -> Iterator[tuple[str, Path]]:
    for name in wanted:
        try:
            yield name, peers.PEERS[name].install()
        except PeerAbsentError as absent:
            say(f"  absent: {absent}")


def _theirs(
    there: dict[str, Path], port: int, opened: scratch.Scratch, running: ExitStack
) -> Iterator[Target]:
    for name, program in there.items():
        (folder := opened.folder / name).mkdir()
        try:
            yield running.enter_context(peers.PEERS[name].serve(program, port, folder))
        except PeerAbsentError as absent:
            say(f"  absent: {absent}")


if __name__ == "__main__":
    sys.exit(main())
