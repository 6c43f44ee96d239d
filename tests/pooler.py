"""The test database behind a real PgBouncer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from bench.pooler import Server, run_pgbouncer
from tests.programs import find_program


@contextmanager
def pooled(*, size: int = 3) -> Iterator[int]:
    """Let this process reach its database through PgBouncer; yield its port.

    Skips the test if PgBouncer is not here. The test must commit.
    """
    settings: dict[str, Any] = connection.settings_dict
    direct = {name: settings[name] for name in ("HOST", "PORT")}
    server = Server(settings["HOST"], int(settings["PORT"]), settings["USER"], settings["PASSWORD"])
    with run_pgbouncer(find_program("pgbouncer"), server, size=size) as port:
        _reconnect(settings, {"HOST": "127.0.0.1", "PORT": str(port)})
        try:
            yield port
        finally:
            _reconnect(settings, direct)


def _reconnect(settings: dict[str, Any], place: dict[str, str]) -> None:
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()
    settings.update(place)
