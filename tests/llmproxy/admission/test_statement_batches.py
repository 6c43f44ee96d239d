"""Calls that share a round trip: each gets its own result or error, and none waits for ever."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection
from django.db.transaction import atomic
from psycopg import errors

from llmproxy.admission import statement_batches
from llmproxy.admission.statement_batches import Batches

pytestmark = pytest.mark.django_db(transaction=True)

# Returns its argument and its transaction. The argument can tell it to wait for a lock, to be slow,
# to fail or to end its connection.
FUNCTION = """
CREATE OR REPLACE FUNCTION batched(asked jsonb) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock((asked ->> 'lock')::bigint) WHERE asked ? 'lock';
    IF asked ? 'fail' THEN
        RAISE EXCEPTION 'not this one' USING ERRCODE = 'invalid_text_representation';
    ELSIF asked ? 'slow' THEN
        PERFORM pg_sleep((asked ->> 'slow')::float);
    ELSIF asked ? 'die' THEN
        PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5);
    END IF;
    RETURN json_build_object('asked', asked -> 'name', 'batch', pg_current_xact_id()::text,
                             'at', clock_timestamp());
END $$
"""
LOCK, OTHER_LOCK = 7, 8


@pytest.fixture
def batched() -> Iterator[Batches]:
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION)
    yield Batches("batched")
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION batched")


@pytest.fixture
def ask(batched: Batches) -> Iterator[Callable[..., Future[Any]]]:
    """Call the function in a separate thread."""
    with ThreadPoolExecutor(60) as pool:
        yield lambda name, user=0, **more: pool.submit(
            batched.ask, json.dumps({"name": name, **more}), user=user
        )


@pytest.fixture
def locked() -> Iterator[Callable[..., None]]:
    """Hold both locks; the returned function releases those that it names, or all."""

    def each(function: str, *locks: int) -> None:
        with connection.cursor() as cursor:
            for lock in locks:
                cursor.execute(f"SELECT {function}(%s)", [lock])

    each("pg_advisory_lock", LOCK, OTHER_LOCK)
    left = {LOCK, OTHER_LOCK}

    def unlock(*locks: int) -> None:
        each("pg_advisory_unlock", *(left & set(locks or left)))
        left.difference_update(locks or set(left))

    yield unlock
    unlock()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_batches, "PATIENCE_SECONDS", 20)


def wait_for(batched: Batches, *, away: bool = True, waiting: int = 0) -> None:
    until = time.monotonic() + 5
    while (batched._leader is not None, len(batched._waiting)) != (away, waiting):
        assert time.monotonic() < until, (batched._leader, batched._waiting)
        time.sleep(0.005)


def test_who_comes_while_one_is_away_shares_the_next(
    batched: Batches, ask: Any, locked: Any, patient: None
) -> None:
    first = ask("first", lock=LOCK)
    wait_for(batched)
    others = [ask(f"{number}", user=100 - number) for number in range(4)]
    wait_for(batched, waiting=4)
    locked()
    results = [other.result(5) for other in others]
    assert [one["asked"] for one in results] == [f"{number}" for number in range(4)]
    assert {one["batch"] for one in results}.isdisjoint({first.result(5)["batch"]})
    assert len({one["batch"] for one in results}) == 1
    assert sorted(results, key=lambda one: one["at"]) == results[::-1]  # in the order of users
    wait_for(batched, away=False)


@pytest.mark.parametrize(("waiting", "sizes"), [(10, [6, 4]), (40, [16, 13, 6, 4, 1])])
def test_a_batch_takes_half_of_many(
    batched: Batches, ask: Any, locked: Any, patient: None, waiting: int, sizes: list[int]
) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    others = [ask(f"{number}") for number in range(waiting)]
    wait_for(batched, waiting=waiting)
    locked()
    assert (
        sorted(Counter(other.result(5)["batch"] for other in others).values(), reverse=True)
        == sizes
    )


def test_what_fails_fails_alone(batched: Batches, ask: Any, locked: Any, patient: None) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    good, bad, other = ask("good"), ask("bad", fail=True), ask("other")
    wait_for(batched, waiting=3)
    locked()
    with pytest.raises(DataError, match="not this one"):
        bad.result(5)
    assert (good.result(5)["asked"], other.result(5)["asked"]) == ("good", "other")
    wait_for(batched, away=False)


def test_an_error_of_ours_is_told_to_all_of_a_batch(
    batched: Batches, ask: Any, locked: Any, patient: None, monkeypatch: Any
) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    batch = [ask("one"), ask("two")]
    wait_for(batched, waiting=2)
    # InterfaceError is not a subclass of Django's DatabaseError.
    closed = mock.Mock(side_effect=InterfaceError("the connection is closed"))
    monkeypatch.setattr(batched, "_execute", closed)
    locked()
    for one in batch:
        with pytest.raises(InterfaceError):
            one.result(5)
    assert closed.call_count == 1
    wait_for(batched, away=False)


def test_a_broken_line_is_told_to_all_of_a_batch(
    batched: Batches, ask: Any, locked: Any, patient: None
) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    batch = [ask("one"), ask("two", die=True)]
    wait_for(batched, waiting=2)
    locked()
    for one in batch:
        with pytest.raises(OperationalError) as caught:
            one.result(5)
        assert isinstance(caught.value.__cause__, errors.AdminShutdown)
    wait_for(batched, away=False)
    assert ask("after").result(5)["asked"] == "after"


def test_who_is_stuck_behind_a_lock_is_not_waited_for(
    batched: Batches, ask: Any, locked: Any
) -> None:
    stuck = ask("stuck", lock=LOCK)
    wait_for(batched)
    assert [ask(f"{number}").result(5)["asked"] for number in range(3)] == ["0", "1", "2"]
    assert not stuck.done()
    locked()
    assert stuck.result(5)["asked"] == "stuck"
    wait_for(batched, away=False)


def test_a_long_queue_that_moves_is_no_reason_to_overtake(
    batched: Batches, ask: Any, locked: Any, monkeypatch: Any
) -> None:
    under_way, most = [0], [0]
    execute = batched._execute

    def counted(arguments: list[str]) -> Any:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        try:
            return execute(arguments)
        finally:
            under_way[0] -= 1

    monkeypatch.setattr(statement_batches, "PATIENCE_SECONDS", 0.4)
    monkeypatch.setattr(batched, "_execute", counted)
    ask("first", slow=0.25)
    wait_for(batched)
    others = [ask(f"{number}", slow=0.03) for number in range(15)]  # three batches of up to 0.24 s
    assert [other.result(5)["asked"] for other in others] == [f"{number}" for number in range(15)]
    assert most == [1]


def test_who_is_together_with_somebody_stuck_is_not_kept(
    batched: Batches, ask: Any, locked: Any, patient: None
) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    stuck, other = ask("stuck", lock=OTHER_LOCK), ask("other")
    wait_for(batched, waiting=2)
    locked(LOCK)
    assert other.result(3)["asked"] == "other"
    assert not stuck.done()
    locked(OTHER_LOCK)
    assert stuck.result(5)["asked"] == "stuck"
    wait_for(batched, away=False)


def test_behind_a_stuck_batch_only_the_first_waits(
    batched: Batches, ask: Any, locked: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(statement_batches, "PATIENCE_SECONDS", 0.5)
    stuck = ask("stuck", lock=LOCK)
    wait_for(batched)
    assert ask("first").result(5)["asked"] == "first"
    wait_for(batched, away=False)
    monkeypatch.setattr(statement_batches, "PATIENCE_SECONDS", 20)
    assert ask("second").result(5)["asked"] == "second"
    assert not stuck.done()
    locked()
    assert stuck.result(5)["asked"] == "stuck"
    wait_for(batched, away=False)


def test_many_who_lose_patience_at_once_all_go(batched: Batches, ask: Any, locked: Any) -> None:
    stuck = [ask(f"stuck {number}", lock=LOCK) for number in range(4)]
    others = [ask(f"{number}") for number in range(50)]
    locked()
    assert [other.result(10)["asked"] for other in others] == [f"{number}" for number in range(50)]
    assert all(one.result(5) for one in stuck)
    wait_for(batched, away=False)


def test_nobody_is_lost_whoever_overtakes_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads lose patience about as often as they are woken, and some batches fail."""

    def execute(arguments: list[str]) -> list[tuple[int, str]]:
        time.sleep(random.choice((0.0005, 0.002, 0.006, 0.02)))
        if random.random() < 0.05:
            raise DataError
        return random.sample([*enumerate(arguments, 1)], len(arguments))  # in any order

    def ask_all(user: int) -> None:
        for number in range(200):
            with suppress(DataError):
                assert calls.ask(f"[{user},{number}]", user=user) == [user, number]

    calls = Batches("batched")
    monkeypatch.setattr(statement_batches, "PATIENCE_SECONDS", 0.003)
    monkeypatch.setattr(statement_batches, "_is_rejection", lambda error: True)
    monkeypatch.setattr(calls, "_execute", execute)
    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(ask_all, range(100), timeout=60)) == [None] * 100
    assert (calls._leader, calls._waiting) == (None, [])


class Ended(BaseException):
    pass


class Latch:
    """A lock whose `acquire` raises Ended once `at` is set."""

    def __init__(self, at: threading.Event) -> None:
        self.at = at

    def acquire(self, timeout: float = 0) -> bool:
        self.at.wait(5)
        raise Ended

    def release(self) -> None:
        pass


@pytest.mark.parametrize(
    "is_called", [False, True], ids=["while they wait", "when they are called to lead"]
)
def test_who_is_ended_stops_nobody(
    batched: Batches, ask: Any, locked: Any, monkeypatch: pytest.MonkeyPatch, is_called: bool
) -> None:
    at = threading.Event()
    ask("first", lock=LOCK)
    wait_for(batched)
    with monkeypatch.context() as patched:
        patched.setattr(statement_batches, "_make_locked", lambda: Latch(at))
        ended = ask("ended")
        wait_for(batched, waiting=1)
    if is_called:
        locked()
        wait_for(batched, waiting=0)
    at.set()
    with pytest.raises(Ended):
        ended.result(5)
    locked()
    wait_for(batched, away=False)
    assert ask("after").result(5)["asked"] == "after"


def test_what_is_large_or_in_a_transaction_goes_alone(
    batched: Batches, ask: Any, locked: Any, patient: None
) -> None:
    ask("first", lock=LOCK)
    wait_for(batched)
    assert ask("x" * statement_batches.ALONE_BYTES).result(5)["asked"][0] == "x"
    with atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        assert batched.ask(json.dumps({"name": "same"}), user=0)["batch"] == cursor.fetchone()[0]
    wait_for(batched)


def test_who_is_told_nothing_is_told_so(batched: Batches) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION batched(asked jsonb) RETURNS json "
            "LANGUAGE sql AS 'SELECT NULL::json'"
        )
    assert batched.ask("{}", user=0) is None
