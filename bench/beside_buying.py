"""Measure completions while nobody buys, and while many do, in turn.

    .venv/bin/python -m bench.beside_buying [--rounds 3] [--seconds 15]

The site is that of `bench.buying`. Four clients send completions at a fixed pace, 40 a second
together. While people buy, 20 webhooks and 4 pages of return are sent each second, too. Printed are
the milliseconds of completions in each round.
"""

import argparse
import http.client
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from bench import buying, isolated, mock
from smartspec.drill import scratch
from smartspec.local import embedded_postgres

CLIENTS, CHATS_A_SECOND, WEBHOOKS_A_SECOND, PAGES_A_SECOND = 4, 40, 20, 4
BODY = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}).encode()
Answer = tuple[float, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of each round")
    options = parser.parse_args()
    with ExitStack() as running:
        opened = running.enter_context(scratch.open_scratch())
        others = isolated.make_bare_site(opened.folder, dict(os.environ))
        provider = embedded_postgres.find_free_port()
        running.enter_context(mock.run_mock(others, provider))
        upstream = f"http://127.0.0.1:{provider}/v1"
        isolated.make_tables(opened, upstream)
        tokens = isolated.make_users(CLIENTS)
        buyer = buying.make_buyer()
        port = running.enter_context(buying.run_site(opened, upstream))
        paid = [buying.buy(buyer, f"form {number}") for number in range(20)]
        for number in range(options.rounds):
            measure(port, tokens, options.seconds, f"round {number + 1}, nobody buys")
            with buy_on(port, buyer, paid, f"r{number}"):
                measure(port, tokens, options.seconds, f"round {number + 1}, people buy")


def measure(port: int, tokens: list[str], seconds: float, name: str) -> None:
    """Send completions for some seconds, and print their times."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        rounds = pool.map(lambda token: list(chat_on(port, token, seconds)), tokens)
        buying.print_times(name, list(itertools.chain.from_iterable(rounds)))


def chat_on(port: int, token: str, seconds: float) -> Iterator[Answer]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for _ in keep_pace(CHATS_A_SECOND / CLIENTS, lambda: False, seconds):
        started = time.perf_counter()
        line.request("POST", "/v1/chat/completions", BODY, headers)
        answer = line.getresponse()
        answer.read()
        yield (time.perf_counter() - started) * 1000, answer.status


@contextmanager
def buy_on(port: int, buyer: Any, paid: list[Any], name: str) -> Iterator[None]:
    """Send webhooks and pages of return until the block ends, and print their times."""
    stop = threading.Event()
    webhooks = (
        buying.make_event(row, f"evt_{name}_{n}") for n, row in enumerate(itertools.cycle(paid))
    )
    rows = itertools.cycle(paid)
    with ThreadPoolExecutor(2) as pool:
        sent = pool.submit(
            lambda: [
                buying.send(port, next(webhooks)) for _ in keep_pace(WEBHOOKS_A_SECOND, stop.is_set)
            ]
        )
        shown = pool.submit(
            lambda: [
                buying.come_back(port, buyer, next(rows))
                for _ in keep_pace(PAGES_A_SECOND, stop.is_set)
            ]
        )
        try:
            yield
        finally:
            stop.set()
        buying.print_times("    webhooks", sent.result())
        buying.print_times("    pages of return", shown.result())


def keep_pace(a_second: float, is_over: Callable[[], bool], seconds: float = 600) -> Iterator[None]:
    """Yield so often in a second, until it is over. What comes late is not made up for."""
    due = begun = time.monotonic()
    while not is_over() and due - begun < seconds:
        time.sleep(max(due - time.monotonic(), 0))
        yield
        due = max(due + 1 / a_second, time.monotonic())


if __name__ == "__main__":
    main()
