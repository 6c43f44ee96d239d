"""Gives a test run a database of its own, unless DATABASE_URL names one."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from smartspec.local.embedded_postgres import build_application_url, run_server
from smartspec.local.postgres_binaries import DatabaseUnavailableError
from smartspec.local.postgres_cluster import APP_ROLE

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


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _at_end.close()
