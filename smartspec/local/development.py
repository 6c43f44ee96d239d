"""Defaults for an installation that nobody has configured: this machine, for one person."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from smartspec.local import embedded_postgres
from smartspec.local.postgres_cluster import APP_ROLE as APP_ROLE


def running_environment(data_dir: Path) -> dict[str, str]:
    """What the site that runs from this directory told its children; nothing if none runs."""
    try:
        lines = (data_dir / "running.env").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines)


def secret_key(data_dir: Path) -> str:
    """The secret of this installation, made at its first start, readable by its owner only."""
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=data_dir) as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with suppress(
                FileExistsError
            ):  # another process was faster; nobody may read half a secret
                os.link(file.name, path)
    return path.read_text()


def running_database(data_dir: Path) -> str | None:
    """The URL of the embedded server that runs for this directory, if one does."""
    return embedded_postgres.running_url(data_dir / "postgres")


def database_url(data_dir: Path) -> str:
    """The running embedded server's URL, or one that nothing answers, so that --help still works."""
    return running_database(data_dir) or "postgres://smartspec@127.0.0.1:1/smartspec"
