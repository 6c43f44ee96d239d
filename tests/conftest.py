"""What all tests share: users, tokens, and an emptied database after tests that really commit."""

import gc
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connection
from django.db.transaction import atomic
from django.test import Client, TransactionTestCase
from django.utils import timezone, translation
from oauth2_provider.models import AccessToken
from playwright import sync_api
from pytest_django import DjangoDbBlocker

from accounts.models import User
from accounts.operation import current as operation
from bench.browser import Browser
from credits import ledger
from llmproxy.spool import folder
from smartspec.local import pytest_postgres
from tests import pages

if TYPE_CHECKING:
    from tests.stripe import FakeStripe

# A password is not hashed for safety here, and the real hasher takes half a second.
settings.PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    *settings.PASSWORD_HASHERS[1:],
]

# Every test client builds the middleware, and WhiteNoise would list all static files each time.
settings.WHITENOISE_AUTOREFRESH = True


settings.SPOOL_DIR = tempfile.mkdtemp(prefix="smartspec-spool-")

# A limit of time for one example would fail on a busy machine.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# All tests' browsers are such as know our sessions.
Client.session = Browser.session  # type: ignore[assignment]
Client._set_login_cookies = Browser._set_login_cookies  # type: ignore[attr-defined]

# Rows that migrations make stay; everything else goes after a committing test.
KEPT = {
    "django_content_type": "true",
    "auth_permission": "true",
    "plans": "slug = 'free'",
    "oauth2_provider_application": "client_id = 'smartspec-desktop'",
}


GUARDS = {
    "credit_transactions": "credit_transactions_append_only",
    "credit_allocations": "credit_allocations_append_only",
    "credit_operations": "credit_operations_append_only",
    "credit_holds": "credit_holds_stay",
    "credit_grants": "credit_grants_stay",
    "credit_spending": "credit_spending_stay",
    "payment_events": "payment_events_stay",
    "documents": "documents_stay",
    "document_counters": "document_counters_stay",
    "django_admin_log": "django_admin_log_append_only",
    "operator_settings": "operator_settings_append_only",
}


@contextmanager
def rows_may_change(cursor: Any) -> Iterator[None]:
    """What only the owner of the tables can do: switch off what keeps ledger rows as they are."""
    cursor.execute(";".join(_guards_off(GUARDS)))
    yield
    cursor.execute(";".join(_guards_on(GUARDS)))


def _guards_off(tables: Iterable[str]) -> list[str]:
    return [f"ALTER TABLE {table} DISABLE TRIGGER {GUARDS[table]}" for table in tables]


def _guards_on(tables: Iterable[str]) -> list[str]:
    enable = [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {GUARDS[table]}" for table in tables]
    return ["SET CONSTRAINTS ALL IMMEDIATE", *enable]


def _empty_tables(self: TransactionTestCase) -> None:
    """Empty the tables after a committing test, but for the rows that migrations make.

    The ledger refuses TRUNCATE. A request that its test did not wait for may be settled between
    the two statements, and a new row then refers to one that is deleted: so there is a second try.
    """
    try:
        _delete_rows()
    except IntegrityError:
        _delete_rows()


@pytest.fixture(autouse=True)
def _empty_spool() -> Iterator[None]:
    """Remove what a test with a broken database has left to be settled later."""
    yield
    folder.release_files()
    for path in folder.list_files():
        path.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _default_language() -> Iterator[None]:
    """End the language of the last request, which would be that of the next test's mails."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _default_settings() -> Iterator[None]:
    """Forget what an administrator has set in a test, which this process would keep."""
    yield
    operation.put(operation.Snapshot())


def _delete_rows() -> None:
    """Look for the tables that have rows to delete, and delete them.

    Most tests fill a few of some seventy tables.
    """
    with connection.cursor() as cursor, atomic():
        cursor.execute("SELECT tests.find_filled_tables()")
        filled = [table for (table,) in cursor.fetchall()]
        guarded = [table for table in filled if table in GUARDS]
        deletes = [f"DELETE FROM {table} WHERE {_goes(table)}" for table in filled]
        cursor.execute(";".join([*_guards_off(guarded), *deletes, *_guards_on(guarded)]))


def _define_finding() -> str:
    """Define the search as a function, because PostgreSQL keeps the plans of a function.

    It makes new plans only for the tables whose triggers were switched off and on.
    """
    models = apps.get_models(include_auto_created=True)
    tables = [model._meta.db_table for model in models if model._meta.managed]
    looks = "\n".join(
        f"IF EXISTS (SELECT FROM {table} WHERE {_goes(table)}) THEN RETURN NEXT '{table}'; END IF;"
        for table in [*tables, "rate_limits", "django_cache"]
    )
    return f"""
        CREATE SCHEMA IF NOT EXISTS tests;
        CREATE OR REPLACE FUNCTION tests.find_filled_tables() RETURNS SETOF text
        LANGUAGE plpgsql AS $$ BEGIN {looks} END $$
    """


def _goes(table: str) -> str:
    return f"NOT ({KEPT.get(table, 'false')})"


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Keep modules and tests, which all stay, out of the garbage collector's repeated search.

    It searches more seldom, too: a test makes many objects, and few of them are in cycles.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, together: a worker of pytest-xdist takes tests over from the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Of pytest-django, which makes the test database next."""
    pytest_postgres.use_template(connection.settings_dict)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Of pytest-django, whose fixture has made the test database."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(_define_finding())


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """A real one; what needs it is skipped where CHROMIUM names none."""
    with pages.launch_chromium() as launched:
        yield launched


@pytest.fixture
def make_user() -> Callable[..., User]:
    def make(email: str = "ann@example.com", *, credits: int = 0, **fields: Any) -> User:
        # A known zone: pages in a browser do not send one, which could outlive their test.
        fields = {"time_zone": "UTC", **fields}
        user = User.objects.create_user(email, "correct horse battery", **fields)
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        if credits:
            ledger.adjust(user=user, amount=credits, reason="For this test", actor=None)
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def make_token() -> Callable[..., str]:
    def make(user: User, scope: str = "llm:chat mcp:read", *, seconds: int = 900) -> str:
        token = secrets.token_urlsafe(32)
        expires = timezone.now() + timedelta(seconds=seconds)
        AccessToken.objects.create(user=user, token=token, scope=scope, expires=expires)
        return token

    return make


@pytest.fixture
def fake_stripe(settings: Any) -> "Iterator[FakeStripe]":
    """A fake Stripe that the settings name."""
    from tests.stripe import run_fake_stripe  # The SDK takes more than a second to import.

    with run_fake_stripe(settings) as fake:
        yield fake


@pytest.fixture
def bearer(make_token: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """Headers of a call by this user."""

    def headers(user: User, scope: str = "llm:chat mcp:read") -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(user, scope)}"}

    return headers
