"""The options of every connection to PostgreSQL, and of the pool that a worker has of them."""

from typing import Any

# Waiting is bounded: a request that cannot lock its row within 5 s is refused.
LIMITS = {"lock_timeout": "5s", "statement_timeout": "30s"}
LIMITS_AT_START = " ".join(f"-c {name}={value}" for name, value in LIMITS.items())
# A web worker waits a little longer than that for an answer: a server that was stopped, with its
# limits, would let a request wait for as long as it stands still.
SILENCE_SECONDS = 35
# A request waits that long for a connection of the pool, and a new connection for its server.
POOL_SECONDS = 3
CONNECT_SECONDS = 3
# After that long the pool tries again to connect, as long as somebody waits.
RECONNECT_SECONDS = 0.5
# A server that vanished without a word, with its machine, is noticed within half a minute.
DEFAULTS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
    "fallback_application_name": "smartspec",
}


def build_options(
    *, of_url: dict[str, Any], pool_size: int, pool_seconds: float, has_pooler: bool
) -> dict[str, Any]:
    """Return Django's OPTIONS. What the URL says counts, and limits that it does not set are added.

    Behind a pooler the limits come from the role (deploy/roles.sql): PgBouncer refuses `options` at
    the start of a connection.
    """
    limits = "" if has_pooler else LIMITS_AT_START
    at_start = f"{limits} {of_url.get('options', '')}".strip()
    return {
        **DEFAULTS,
        **of_url,
        **({"options": at_start} if at_start else {}),
        "pool": {
            "min_size": 1,
            "max_size": pool_size,
            "timeout": pool_seconds,
            "reconnect_timeout": RECONNECT_SECONDS,
        },
    }
