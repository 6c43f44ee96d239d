"""A session of the application's role. The tests themselves run as the owner of the tables."""

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
    """A session such as an attacker has who can make the site send SQL."""

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
    """Allow temporary objects, as in a database of another owner, where all roles can make them."""
    name, role = connection.settings_dict["NAME"], settings.DATABASE_APP_ROLE
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO "{role}"')
        yield
        cursor.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM "{role}"')


@pytest.fixture
def site_as_application(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let Django use the application's role in this test."""
    url = urlparse(URL)
    monkeypatch.setitem(connection.settings_dict, "USER", url.username)
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", url.password)
    _reconnect()
    yield
    monkeypatch.undo()
    _reconnect()


def _reconnect() -> None:
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()
