"""The id of the request that is being served: `x-request-id`, in each log line and on the receipt.

gunicorn's master loads this for its log, so it imports nothing of Django.
"""

import os
from contextvars import ContextVar

# Each greenlet and thread has its own value. It serves one request after the other.
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def start_request() -> None:
    """Give the request that begins here a new id."""
    _request_id.set(f"req_{os.urandom(12).hex()}")


def get_request_id() -> str:
    """Return the id of the request that is being served; empty outside of requests."""
    return _request_id.get()
