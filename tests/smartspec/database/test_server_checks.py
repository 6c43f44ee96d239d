"""The deployment checks that ask the server."""

from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.db import connection

pytestmark = pytest.mark.django_db


def ids() -> set[str]:
    messages = run_checks(
        tags=[Tags.database], databases=["default"], include_deployment_checks=True
    )
    return {str(message.id) for message in messages}


@pytest.mark.parametrize(("size", "workers", "is_warned"), [(8, "2", False), (40, "8", True)])
def test_a_pool_that_is_larger_than_the_server_is_warned_of(
    settings: Any, monkeypatch: pytest.MonkeyPatch, size: int, workers: str, *, is_warned: bool
) -> None:
    settings.DATABASE_POOL_SIZE = size
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    assert ("smartspec.W020" in ids()) == is_warned


@pytest.mark.parametrize(("limit", "is_warned"), [("0", True), ("30s", False)])
def test_limits_that_the_role_lacks_behind_a_pooler_are_warned_of(
    settings: Any, limit: str, *, is_warned: bool
) -> None:
    settings.DATABASE_POOLER = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
    assert ("smartspec.W021" in ids()) == is_warned
