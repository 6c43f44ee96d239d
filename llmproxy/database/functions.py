"""Installs the functions of the gateway (llmproxy/database/sql/) after every `migrate`.

One round trip admits a completion, and one settles it (docs/decisions/0016).
"""

from pathlib import Path
from typing import Any

from accounts.database import functions
from llmproxy.database import price_functions

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
TABLES = frozenset({"llm_rates", "llm_idempotency_keys", "device_sessions", "api_keys"})


def after_migrate(**kwargs: Any) -> None:
    """Receive Django's post_migrate: install these files, and the functions of the price kinds."""
    texts = [price_functions.write_functions(), *map(Path.read_text, FILES)]
    functions.replace("gateway_", texts, needed=TABLES)
