"""Run the same thing in many threads at once, each with a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def concurrently(act: Callable[[int], T], *, threads: int) -> list[T]:
    """The results of act(0) … act(threads - 1), all started at one moment."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> T:
        try:
            barrier.wait(timeout=10)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))
