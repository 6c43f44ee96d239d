"""A real PgBouncer in transaction mode, with the defaults of its package."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smartspec.local import embedded_postgres
from tests.programs import find_program, start_program
from tests.smartspec.processes import eventually

CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
"""


@contextmanager
def running_pgbouncer(config: dict[str, Any]) -> Iterator[int]:
    """Run PgBouncer in front of the server of these settings; yield its port."""
    program = find_program("pgbouncer")
    with TemporaryDirectory(prefix="pgbouncer-") as folder:
        yield from _run(program, Path(folder), config)


def _run(program: Path, folder: Path, config: dict[str, Any]) -> Iterator[int]:
    port, users = embedded_postgres.find_free_port(), folder / "users"
    users.write_text(f'"{config["USER"]}" "{config["PASSWORD"]}"\n')
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(server=config["PORT"], port=port, users=users))
    log = (folder / "log").open("w+")
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # as which PgBouncer refuses to run
        os.chown(folder, 65534, 65534)
        account = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    process = start_program(program, str(file), stdout=log, stderr=subprocess.STDOUT, **account)
    try:
        eventually(lambda: "process up" in (folder / "log").read_text(), seconds=10)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        log.close()
