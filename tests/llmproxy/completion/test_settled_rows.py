"""The row of a completion is written in the order that its table has, whatever that is."""

import json
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection
from django.db.utils import IntegrityError, InternalError, OperationalError, ProgrammingError

from accounts.models import User
from credits import ledger
from llmproxy.completion import settlement
from llmproxy.metering.price_kinds import COUNT_COLUMNS
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


def change_requests(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], Any]
) -> None:
    """Let `change` alter each settlement before it is sent."""
    ask = settlement._settlements.ask

    def ask_changed(text: str, *, user: int) -> Any:
        request = json.loads(text)
        change(request)
        return ask(json.dumps(request), user=user)

    monkeypatch.setattr(settlement._settlements, "ask", ask_changed)


@pytest.mark.parametrize("count", [*COUNT_COLUMNS, "extras"])
def test_a_worker_of_the_version_before_settles_without_a_new_count(
    count: str,
    chat: Callable[..., Any],
    user: User,
    upstream: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_requests(monkeypatch, lambda request: request.pop(count))
    assert chat(user).status_code == 200
    assert not getattr(Completion.objects.get(), count)
    assert ledger.balance(user).held == 0


def test_a_settlement_that_breaks_a_constraint_is_not_taken_for_one_that_was_made(
    chat: Callable[..., Any], user: User, upstream: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_requests(monkeypatch, lambda request: request.update(model=None))
    with pytest.raises(IntegrityError, match="model"):
        chat(user)


@pytest.mark.parametrize("error", [ProgrammingError, InternalError])
def test_a_settlement_is_repeated_while_functions_are_replaced(
    error: type[Exception],
    chat: Callable[..., Any],
    user: User,
    upstream: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask, errors = settlement._settlements.ask, [error("function ledger_capture does not exist")]

    def fail_first(text: str, *, user: int) -> Any:
        if errors:
            raise errors.pop()
        return ask(text, user=user)

    monkeypatch.setattr(settlement._settlements, "ask", fail_first)
    assert chat(user).status_code == 200
    assert Completion.objects.get().charged == 1
    assert ledger.balance(user).held == 0


def test_a_settlement_waits_by_the_clock_however_many_tries_that_takes(
    chat: Callable[..., Any], user: User, upstream: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, clock = settlement._settlements.ask, Mock(slept=0.0)

    def ask_when_it_is_back(text: str, *, user: int) -> Any:
        if clock.slept < 8:
            raise OperationalError("the database is away, which is known at once")
        return ask(text, user=user)

    def sleep(seconds: float) -> None:
        clock.slept += seconds

    clock.monotonic, clock.sleep = lambda: time.monotonic() + clock.slept, sleep
    monkeypatch.setattr(settlement, "time", clock)
    monkeypatch.setattr(settlement._settlements, "ask", ask_when_it_is_back)
    assert chat(user).status_code == 200
    assert ledger.balance(user).held == 0
