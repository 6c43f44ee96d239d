"""The application's role, logged in beside the owner that the tests run as."""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlparse

import psycopg
import pytest
from django.conf import settings
from django.db import connection

URL = os.environ.get("APP_DATABASE_URL", "")


class Application:
    """A session as somebody has it who can make the site send SQL."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
        self.connection = connection

    def execute(self, statement: str) -> "psycopg.Cursor[tuple[Any, ...]]":
        return self.connection.execute(statement.encode())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        rows = self.execute(statement).fetchall()
        self.connection.commit()
        return rows

    def refused(
        self, statement: str, error: type[psycopg.Error] = psycopg.errors.InsufficientPrivilege
    ) -> None:
        with pytest.raises(error):
            self.execute(statement)
        self.connection.rollback()


@pytest.fixture
def application(transactional_db: None) -> Iterator[Application]:
    if not URL:
        pytest.skip(
            "DATABASE_URL names a server, and APP_DATABASE_URL no role for the application there"
        )
    with psycopg.connect(URL, dbname=connection.settings_dict["NAME"]) as opened:
        yield Application(opened)
        opened.rollback()


@pytest.fixture
def temporary_objects(application: Application) -> Iterator[None]:
    """A database whose owner is another one than ours lets everybody make them."""
    name, role = connection.settings_dict["NAME"], settings.DATABASE_APP_ROLE
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO "{role}"')
        yield
        cursor.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM "{role}"')


@pytest.fixture
def site_as_application(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """All that Django does in this test, it does as the application's role."""
    url = urlparse(URL)
    monkeypatch.setitem(connection.settings_dict, "USER", url.username)
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", url.password)
    _log_in_anew()
    yield
    monkeypatch.undo()
    _log_in_anew()


def _log_in_anew() -> None:
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()
