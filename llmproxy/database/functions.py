"""Installs the functions of all applications in the database after every `migrate`.

They are replaced in one transaction, because a function and its callers change together: a worker
that settles between two commits would call a verb with arguments that it no longer has. One round
trip admits a completion, and one settles it (docs/decisions/0016).
"""

from pathlib import Path
from typing import Any

from django.db import OperationalError, connection
from django.db.transaction import atomic
from psycopg.errors import DeadlockDetected

import accounts.database.functions
import credits.database.functions
from llmproxy.database import price_functions

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
TABLES = frozenset({"llm_rates", "llm_idempotency_keys", "device_sessions", "api_keys"})
TRIES = 5


def after_migrate(**kwargs: Any) -> None:
    """Receive Django's post_migrate: install everything, again after a deadlock with live calls."""
    for _ in range(TRIES - 1):
        try:
            install_all()
        except OperationalError as error:
            if connection.in_atomic_block or not isinstance(error.__cause__, DeadlockDetected):
                raise
        else:
            return
    install_all()


def install_all() -> None:
    """Replace the functions of accounts, credits and the gateway in one transaction."""
    with atomic():
        accounts.database.functions.install()
        credits.database.functions.install()
        texts = [price_functions.write_functions(), *map(Path.read_text, FILES)]
        accounts.database.functions.replace("gateway_", texts, needed=TABLES)
