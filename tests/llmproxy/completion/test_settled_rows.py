"""The row of a completion is written in the order that its table has, whatever that is."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from llmproxy.models import Completion

pytestmark = pytest.mark.django_db


def test_a_table_that_was_altered_gets_every_value_in_its_column(
    chat: Callable[..., Any], user: User, upstream: object
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE completions ADD COLUMN gone text, ADD COLUMN trace text")
        cursor.execute("ALTER TABLE completions DROP COLUMN gone")
        cursor.execute("ALTER TABLE completions DROP COLUMN trace_id")
        cursor.execute("ALTER TABLE completions RENAME COLUMN trace TO trace_id")
    assert chat(user, headers={"x-trace-id": "trace-1"}).status_code == 200
    row = Completion.objects.get()
    assert (row.user_id, row.trace_id, row.status, row.route) == (
        user.pk,
        "trace-1",
        "completed",
        "/v1/chat/completions",
    )
    assert row.uncollected == row.cost - row.charged == 0


def test_ids_are_given_by_the_table_in_order(
    chat: Callable[..., Any], user: User, upstream: object
) -> None:
    for _ in range(3):
        assert chat(user).status_code == 200
    first, second, third = Completion.objects.order_by("created_at").values_list("pk", flat=True)
    assert first < second < third
