"""Run a function in many threads at once, each with its own database connection."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def concurrently(act: Callable[[int], T], *, threads: int) -> list[T]:
    """Start act(0) … act(threads - 1) at the same moment and return the results in this order."""
    barrier = threading.Barrier(threads)

    def run_one(number: int) -> T:
        try:
            barrier.wait(timeout=10)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run_one, range(threads)))
