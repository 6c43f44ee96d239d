"""A primary dies and its standby takes over; both are real."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.database.faults import find_fault
from bench.failover.servers import Server, open_servers
from smartspec.environment import Environment
from smartspec.postgresql import options
from smartspec.postgresql.readiness import READ_ONLY, READY, Probe
from tests.smartspec.processes import eventually

pytestmark = [pytest.mark.long, pytest.mark.django_db]


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """A primary with an unlogged table, and its standby."""
    with open_servers(2) as (primary, standby):
        primary.create()
        primary.start()
        primary.make_database()
        primary.execute("CREATE UNLOGGED TABLE rates (n integer)")
        primary.copy_to(standby)
        standby.start()
        yield [primary, standby]


def open_pool(servers: list[Server], alias: str) -> Any:
    """A Django connection whose URL names both servers."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    url = f"postgres://smartspec@{hosts}/smartspec?target_session_attrs=read-write"
    config = Environment().database(url)
    other: Any = connection.copy(alias)
    built = options.build_options(
        of_url=config["OPTIONS"], pool_size=4, pool_seconds=3, has_pooler=False
    )
    other.settings_dict = {**other.settings_dict, **config, "OPTIONS": built}
    return other


def select_port(other: Any) -> int:
    with other.cursor() as cursor:
        cursor.execute("SELECT inet_server_port()")
        port: int = cursor.fetchone()[0]
    other.close()
    return port


def is_in_recovery(server: Server) -> bool:
    with psycopg.connect(server.conninfo) as line:
        row = line.execute("SELECT pg_is_in_recovery()").fetchone()
    return row == (True,)


def test_connections_go_to_the_server_that_can_be_written(servers: list[Server]) -> None:
    primary, standby = servers
    other = open_pool([standby, primary], "failover")
    asked = {**other.get_connection_params(), "port": standby.port, "host": "127.0.0.1"}
    alone = {**asked, "target_session_attrs": "any"}
    try:
        assert select_port(other) == primary.port
        assert Probe().ask(alone) == READ_ONLY
        with (
            psycopg.connect(standby.conninfo) as line,
            pytest.raises(psycopg.NotSupportedError) as raised,
        ):
            line.execute("SELECT FROM rates")
        assert (fault := find_fault(raised.value)) is not None
        assert fault.name == "read only"
        primary.kill()
        standby.promote()
        eventually(lambda: not is_in_recovery(standby))  # PostgreSQL may take some seconds.
        eventually(lambda: Probe().ask(alone) == READY, seconds=5)
        started = time.monotonic()
        assert select_port(other) == standby.port
        assert time.monotonic() - started < 1
    finally:
        other.close_pool()
