"""What happens to PostgreSQL besides its death: read-only, failover, a full disk, a pooler."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connection

from bench import pooler
from smartspec.drill import database
from smartspec.local.embedded_postgres import find_free_port

if TYPE_CHECKING:
    from bench.chaos.faults import Scene

AWAY_SECONDS = 12.0  # Longer than a settlement is tried before its answer is sent.
STANDBY_SECONDS = 3.0
POOLED_SECONDS = 4.0
BLOCK_BYTES = 1024 * 1024


def make_read_only(scene: "Scene") -> None:
    """Let new sessions only read, and end those that are open, as before a planned change."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        scene.gateway.scratch.wire.cut()
        time.sleep(AWAY_SECONDS)
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    scene.gateway.scratch.wire.cut()
    connection.close()


def fail_over(scene: "Scene") -> None:
    """Kill the server; a standby with all its commits answers read-only, and is then promoted."""
    server = scene.gateway.scratch.database
    server.kill()
    connection.close()
    marker = server.data / "standby.signal"
    marker.touch()
    _give_to_owner(marker, server.data)
    server.start()
    time.sleep(STANDBY_SECONDS)
    trigger = server.data / "promote"
    trigger.touch()
    _give_to_owner(trigger, server.data)
    os.kill(scene.gateway.postmaster, signal.SIGUSR1)  # as pg_ctl promote does
    database.wait_for(lambda: not marker.exists(), "the promotion")
    scene.gateway.scratch.wire.cut()
    connection.close()


def _give_to_owner(path: Path, folder: Path) -> None:
    owner = folder.stat()
    os.chown(path, owner.st_uid, owner.st_gid)


def fill_disk(scene: "Scene") -> None:
    """Leave no room on the disk of PostgreSQL for a while. PostgreSQL may end over it."""
    ballast = _find_disk() / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (BLOCK_BYTES, 4096):
            try:
                while file.write(b"\1" * size) == size:
                    pass
            except OSError:
                continue
    time.sleep(AWAY_SECONDS)
    ballast.unlink()
    time.sleep(1)
    server = scene.gateway.scratch.database
    try:
        os.kill(scene.gateway.postmaster, 0)
    except (FileNotFoundError, ProcessLookupError):
        server.kill()
        server.start()
    connection.close()


def put_pooler_between(scene: "Scene") -> None:
    """Send the workers through PgBouncer, kill it once, and let them connect directly again."""
    scratch, program, port = scene.gateway.scratch, pooler.find_pgbouncer(), find_free_port()
    assert program is not None
    direct = scratch.wire.target
    server = pooler.Server.from_url(scratch.database.site_url(scratch.own))
    with ExitStack() as running:
        running.enter_context(pooler.run_pgbouncer(program, server, size=10, port=port))
        scratch.wire.target = lambda: port
        scratch.wire.cut()
        time.sleep(POOLED_SECONDS)
        running.close()
        running.enter_context(pooler.run_pgbouncer(program, server, size=10, port=port))
        time.sleep(POOLED_SECONDS)
        scratch.wire.target = direct
        scratch.wire.cut()


def _find_disk() -> Path:
    return Path(os.environ["CHAOS_DISK"])


def list_missing() -> dict[Callable[["Scene"], None], str]:
    """Return the faults that this machine cannot have, with the reason."""
    missing: dict[Callable[[Scene], None], str] = {}
    if "CHAOS_DISK" not in os.environ:
        missing[fill_disk] = "no small disk can be mounted here (it takes root)"
    if pooler.find_pgbouncer() is None:
        missing[put_pooler_between] = "PgBouncer is not here (tools/programs.sh pgbouncer)"
    return missing
