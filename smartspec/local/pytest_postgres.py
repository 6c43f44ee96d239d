"""Gives a test run a database of its own, unless DATABASE_URL names one.

The database that the server comes with is migrated while pytest collects the tests,
and is the template of the test databases: one for each worker of pytest-xdist.
"""

import fcntl
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from smartspec.local import processes
from smartspec.local.embedded_postgres import build_application_url, run_server
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.postgres_cluster import APP_ROLE, NAME

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE_LOCK = "TEST_TEMPLATE_LOCK"
# Migrations make ten thousand model classes. To look for those in cycles takes a third of the time.
MANAGE = "import gc, runpy; gc.disable(); runpy.run_path('manage.py', run_name='__main__')"

_at_end = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """A wrapper, to come before pytest-django reads the settings.

    The workers of pytest-xdist inherit the variable, so there is one server.
    """
    # Nor may the settings see a site that runs from this checkout meanwhile.
    os.environ.setdefault(
        "DATA_DIR", _at_end.enter_context(TemporaryDirectory(prefix="smartspec-tests-"))
    )
    if not os.environ.get("DATABASE_URL"):
        try:
            _start_server()
        except DatabaseUnavailableError as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


def _start_server() -> None:
    """Start a server where one role owns the tables; tests of roles log in as the other one."""
    folder = TemporaryDirectory(prefix="smartspec-postgres-", ignore_cleanup_errors=True)
    data = Path(_at_end.enter_context(folder)) / "data"
    url = _at_end.enter_context(run_server(data, durable=False))
    os.environ["DATABASE_URL"] = url
    os.environ["DATABASE_APP_ROLE"] = APP_ROLE
    os.environ["APP_DATABASE_URL"] = build_application_url(url, data)
    _start_migrating(data.with_name("template.lock"))


def _start_migrating(lock: Path) -> None:
    """In a process that holds the lock, and no other does, until it has ended.

    It also says what went wrong, if something does; the databases made from the template
    are migrated as usual, and fail in the same place.
    """
    os.environ[TEMPLATE_LOCK] = str(lock)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, "-c", MANAGE, "migrate", "--skip-checks", "--verbosity", "0"]
        migrating = processes.start(command, cwd=ROOT, pass_fds=[held.fileno()])
    _at_end.callback(processes.stop, migrating)


def use_template(settings: dict[str, Any]) -> None:
    """Let the test database of these settings be a copy of the template, if there is one."""
    if not (lock := os.environ.get(TEMPLATE_LOCK)):
        return
    with Path(lock).open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
    settings["TEST"]["TEMPLATE"] = NAME


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _at_end.close()
