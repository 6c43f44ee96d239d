"""Run real clients against the gateway, with a provider that refuses: `make clients`.

    .venv/bin/python -m tests.clients [--only claude,openai] [--keep FOLDER] [--list]

The clients are installed at the first run (see docs/clients.md). The program starts its own site
with its own PostgreSQL, runs one client after the other, and prints a table. The exit code is 1 if
a client fails, if a charge differs from the usage that the provider reported, or if the ledger is
not exact afterwards.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from smartspec.drill.signals import signals
from smartspec.local import processes
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.site import LaunchError, say
from tests.clients import agents, examples, sdks, tables
from tests.clients.client import Client
from tests.clients.gateway import run_gateway
from tests.clients.installing import AbsentError, install_node, install_python, locked
from tests.clients.runs import run_client
from tests.clients.webview.client import WEBVIEW, install_webview

MAX_SECONDS = 3600  # For the whole program.
CLIENTS = [*sdks.PYTHON, *sdks.NODE, WEBVIEW, *agents.AGENTS, *examples.list_clients()]


def main() -> int:
    options = make_parser().parse_args()
    chosen = [client for client in CLIENTS if is_chosen(client, options.only)]
    if options.list or not chosen:
        say("\n".join(client.name for client in CLIENTS))
        return 0 if options.list else 1
    processes.end_with_parent()
    signals.watch(MAX_SECONDS)
    try:
        return 0 if run(chosen, options.keep) else 1
    except (DatabaseUnavailableError, LaunchError, TimeoutError) as error:
        say(f"SmartSpec: {error}")
        return 1


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="parts of the names of clients, with commas")
    parser.add_argument("--keep", type=Path, help="keep the clients' folders and requests here")
    parser.add_argument("--list", action="store_true", help="show the names of the clients")
    return parser


def is_chosen(client: Client, only: str) -> bool:
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    return not words or any(word in client.name.lower() for word in words)


def run(chosen: list[Client], keep: Path | None) -> bool:
    """Install and run the clients; print the table; return True if all is right."""
    # Installed before the environment is replaced, because pip and npm may need its variables.
    installed = dict(_install(chosen))
    path = os.environ["PATH"]
    with TemporaryDirectory(prefix="smartspec-clients-") as folder, run_gateway() as gateway:
        os.environ["PATH"] = path
        started = time.monotonic()
        runs = [
            run_client(client, gateway, installed[client.group], keep or Path(folder))
            for client in chosen
        ]
        from bench import books

        closed = books.close_books()
    say(tables.format_runs(runs))
    say(f"\n{closed}; {time.monotonic() - started:.0f} s")
    return closed.exact and all(one.is_right for one in runs if not one.absent)


def _choose_installer(group: str) -> Callable[[str], Path]:
    if group == WEBVIEW.group:
        return install_webview
    return install_node if group.startswith("node") else install_python


def _install(chosen: list[Client]) -> "list[tuple[str, Path | AbsentError]]":
    found: list[tuple[str, Path | AbsentError]] = []
    for group in dict.fromkeys(client.group for client in chosen):
        install = _choose_installer(group)
        try:
            with locked():
                found.append((group, install(group)))
        except AbsentError as absent:
            found.append((group, absent))
    return found


if __name__ == "__main__":
    sys.exit(main())
