"""Gives a test run a database of its own, unless DATABASE_URL names one."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import pytest

from smartspec.embedded_postgres import server
from smartspec.postgres_binaries import DatabaseUnavailableError

_at_end = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """A wrapper, to come before pytest-django reads the settings.

    The workers of pytest-xdist inherit the variable, so there is one server.
    """
    # Nor may the settings see a site that runs from this checkout meanwhile.
    os.environ.setdefault("DATA_DIR", _at_end.enter_context(TemporaryDirectory(prefix="smartspec-tests-")))
    if not os.environ.get("DATABASE_URL"):
        try:
            os.environ["DATABASE_URL"] = _at_end.enter_context(server())
        except DatabaseUnavailableError as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _at_end.close()
