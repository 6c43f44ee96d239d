"""python -m smartspec.local.fake_stripe --port N: serve until a signal or the parent's end."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from smartspec.local.development import is_debug


def main() -> int:
    options = make_parser().parse_args()
    if not is_debug(os.environ):
        sys.stderr.write(
            "The fake Stripe does not start with DEBUG off: it takes no money, and a site that"
            " used it would give credits away. Set STRIPE_SECRET_KEY to a key of Stripe.\n"
        )
        return 1
    from smartspec.local import processes
    from smartspec.local.fake_stripe.server import run_server

    processes.end_with_parent()
    ended = threading.Event()

    def end(*_arguments: Any) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with run_server(
        options.port, webhook=options.webhook, secret=options.secret, file=options.data
    ) as server:
        sys.stderr.write(f"Fake Stripe at {server.state.origin}: no money moves\n")
        ended.wait()
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m smartspec.local.fake_stripe")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhook", help="send all events to this address")
    parser.add_argument("--secret", help="the secret that signs them, whsec_…")
    parser.add_argument("--data", type=Path, help="keep the state in this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
