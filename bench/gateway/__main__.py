"""Compare the gateway with its peers, all on loopback: `make bench`.

    .venv/bin/python -m bench.gateway [--rounds 2] [--seconds 8]
        [--peers litellm,portkey,nginx] [--no-crowd] [--write]

The program starts a mock provider, its own site with a durable PostgreSQL, one gunicorn worker and
1,000 users, and each peer. It measures them in turn and prints medians and ratios. A peer is
installed at its first run (LiteLLM: 740 MB). With --write, the tables are kept in
docs/benchmarks.md.
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

MAX_SECONDS = 3600  # For the whole program.


def main() -> int:
    options = make_parser().parse_args()
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    try:
        run(options)
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument(
        "--peers",
        type=parse_peers,
        default=list(peers.PEERS),
        help="the peers to measure, separated by commas; may be empty",
    )
    parser.add_argument(
        "--no-crowd", dest="crowd", action="store_false", help=f"no {figures.CROWD} streams at once"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the tables to docs/benchmarks.md"
    )
    return parser


def parse_peers(text: str) -> list[str]:
    """Return the names of the peers. Raises ArgumentTypeError."""
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(peers.PEERS):
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(sorted(unknown))}")
    return names


def run(options: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    # Installed before the environment is replaced, because pip and npm may need its variables.
    programs = dict(_install_peers(options.peers))
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        port = find_free_port()
        others = isolated.make_bare_site(opened.folder, dict(os.environ))
        source = running.enter_context(mock.run_mock(others, port))
        targets = [
            Target(DIRECT, port, source.process.pid),
            _start_ours(opened, port, running),
            *_start_peers(programs, port, opened, running),
        ]
        if not wrk.is_installed():
            say(wrk.HINT)
        plan = Plan(options.rounds, options.seconds, options.crowd)
        measured = figures.measure(targets, plan, opened.folder)
    text = tables.format_section(measured, [target.name for target in targets], plan, load)
    say(f"\n{text}")
    if options.write:
        tables.write(text)


def _start_ours(opened: scratch.Scratch, port: int, running: ExitStack) -> Target:
    upstream = f"http://127.0.0.1:{port}/v1"
    isolated.make_tables(opened, upstream)
    tokens = isolated.make_users()
    url = isolated.build_direct_url(opened)
    gateway = running.enter_context(isolated.run_gateway(opened, upstream, url, tokens))
    say(f"  {OURS} has {len(tokens):,} users and one worker")
    return Target(
        OURS, gateway.port, gateway.workers[0], tokens=tuple(tokens), database=gateway.postmaster
    )


def _install_peers(names: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield the name and the program of each peer that can be installed."""
    for name in names:
        try:
            yield name, peers.PEERS[name].install()
        except PeerAbsentError as absent:
            say(f"  absent: {absent}")


def _start_peers(
    programs: dict[str, Path], port: int, opened: scratch.Scratch, running: ExitStack
) -> Iterator[Target]:
    for name, program in programs.items():
        (folder := opened.folder / name).mkdir()
        try:
            yield running.enter_context(peers.PEERS[name].serve(program, port, folder))
        except PeerAbsentError as absent:
            say(f"  absent: {absent}")


if __name__ == "__main__":
    sys.exit(main())
