"""Defaults for an installation without configuration: one person on this machine."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from smartspec.local import embedded_postgres
from smartspec.local.postgres_cluster import APP_ROLE as APP_ROLE

# What means yes in a variable (django-environ). Everything else means no.
TRUE = ("true", "on", "ok", "y", "yes", "1")


def is_debug(variables: Mapping[str, str]) -> bool:
    """Return what the settings make of DEBUG: on if it is not set."""
    return variables.get("DEBUG", "true").lower() in TRUE


def read_running_environment(data_dir: Path) -> dict[str, str]:
    """Return the variables of the site that runs from this directory; empty if none runs."""
    try:
        lines = (data_dir / "running.env").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines)


def load_secret_key(data_dir: Path) -> str:
    """Return this installation's secret. The first call creates it, readable by its owner only."""
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=data_dir) as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            # The link is atomic, so no other process reads half a secret. If the file exists by
            # now, another process was faster.
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()


def find_running_database(data_dir: Path) -> str | None:
    """Return the URL of the embedded server that runs for this directory; None if none runs."""
    return embedded_postgres.find_running_url(data_dir / "postgres")


def choose_database_url(data_dir: Path) -> str:
    """Return the URL of the running embedded server.

    If none runs, return a URL where no server listens, so that `manage.py --help` still works.
    """
    return find_running_database(data_dir) or "postgres://smartspec@127.0.0.1:1/smartspec"
