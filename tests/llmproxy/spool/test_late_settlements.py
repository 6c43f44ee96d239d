"""What the database could not settle is settled later, exactly once, and nothing is lost."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy.completion import late_settlements, settlement
from llmproxy.models import Completion, IdempotencyKey
from llmproxy.spool import folder
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
Chat = Callable[..., Any]


@pytest.fixture
def away(spool: Path, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """While the list has an error, every settlement fails with the last one; nobody waits."""
    errors: list[Exception] = [OperationalError("could not extend file: No space left on device")]
    ask = settlement._settlements.ask

    def ask_or_fail(text: str, *, user: int) -> Any:
        if errors:
            raise errors[-1]
        return ask(text, user=user)

    monkeypatch.setattr(settlement, "KEEP_SECONDS", 0)
    monkeypatch.setattr(settlement, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(settlement._settlements, "ask", ask_or_fail)
    return errors


def read_kept() -> list[dict[str, Any]]:
    """The records that wait, as they are."""
    kept: list[dict[str, Any]] = []

    def note(record: Any) -> bool:
        kept.append(json.loads(record.text))
        return False

    folder.process_records(note)
    return kept


def list_drainers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "spool"]


def settled_once(user: User, credits: int) -> None:
    assert [-row.amount for row in Transaction.objects.filter(type="usage")] == [credits]
    assert Completion.objects.get().charged == credits
    assert ledger.balance(user).credits == 50 - credits
    assert not Hold.objects.filter(state="open").exists()
    assert audit.run().findings == []


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, InternalError])
def test_an_answer_is_delivered_and_charged_later_once(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], error: type[Exception]
) -> None:
    away.append(error("away"))
    upstream.script = script.answer(usage=(1500, 5))
    response = chat(user)
    assert (response.status_code, response["x-credits-used"]) == (200, "2")
    assert response.json()["_credits"] == {"used": 2, "remaining": None}
    assert "x-credits-remaining" not in response
    assert ledger.balance(user).held > 0
    assert folder.count_waiting().records == 1
    assert late_settlements.settle_all() == (1, 0)
    assert late_settlements.settle_all() == (0, 0)
    settled_once(user, 2)
    assert Completion.objects.get().generation_id == response["x-generation-id"]


def test_a_stream_ends_with_its_bill_and_is_charged_later(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    upstream.script = script.streamed("Hello")
    text = text_of(chat(user, stream=True))
    assert ': credits {"used":1,"remaining":null}' in text
    assert text.endswith("data: [DONE]\n\n")
    assert late_settlements.settle_all() == (1, 0)
    settled_once(user, 1)


def test_a_failure_is_released_later(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    upstream.script = script.error(500)
    assert chat(user).status_code == 502
    assert late_settlements.settle_all() == (1, 0)
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")
    assert Completion.objects.get().status == "failed"


def test_a_commit_whose_reply_was_lost_is_recognised(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], monkeypatch: Any
) -> None:
    away.clear()
    ask = settlement._settlements.ask

    def commit_and_lose(text: str, *, user: int) -> Any:
        ask(text, user=user)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(settlement, "_settle_once", lambda o, r: commit_and_lose(r, user=user.pk))
    assert chat(user).status_code == 200
    assert late_settlements.settle_all() == (1, 0)
    settled_once(user, 1)


def test_a_hold_that_expired_meanwhile_is_charged_from_what_is_left(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    upstream.script = script.answer(usage=(20_000, 5))
    assert chat(user, max_tokens=100, messages=[{"role": "user", "content": "x" * 80_000}])
    cost = read_kept()[0]["cost"]
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    assert ledger.expire_holds() == 1
    ledger.adjust(user=user, amount=-47, reason="Spent elsewhere", actor=None)
    assert late_settlements.settle_all() == (1, 0)
    row = Completion.objects.get()
    assert (row.charged, row.uncollected, row.cost) == (3, cost - 3, cost)
    assert ledger.balance(user) == ledger.Balance(credits=0, held=0, plan="free")
    assert audit.run().findings == []


def test_a_repeated_request_waits_and_gets_the_answer_after_its_settlement(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = chat(user, headers=headers)
    assert chat(user, headers=headers).status_code == 409
    assert late_settlements.settle_all() == (1, 0)
    again = chat(user, headers=headers)
    assert (again.status_code, again["x-credits-remaining"]) == (200, "49")
    assert again.json()["choices"] == first.json()["choices"]
    assert len(upstream.requests) == 1


def test_a_record_has_no_text_of_the_conversation_and_no_secret(
    client: Client, user: User, bearer: Any, upstream: Upstream, away: list[Exception], spool: Path
) -> None:
    upstream.script = script.answer("a secret answer")
    headers = bearer(user) | {"Idempotency-Key": "once"}
    body = {"messages": [{"role": "user", "content": "a secret question"}]}
    client.post("/v1/chat/completions", body, "application/json", headers=headers)
    (path,) = folder.list_files()
    kept = path.read_bytes()
    assert IdempotencyKey.objects.exists()
    for secret in (b"secret", headers["Authorization"].split()[1].encode(), b"sk-provider"):
        assert secret not in kept


def test_a_record_of_another_release_is_settled(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    chat(user)
    (record,) = read_kept()
    folder.release_files()
    (path,) = folder.list_files()
    path.unlink()
    del record["extras"], record["cache_write_tokens"], record["dropped_parameters"]
    folder.keep(json.dumps(record | {"a_column_that_comes_later": {"x": 1}}))
    assert late_settlements.settle_all() == (1, 0)
    settled_once(user, 1)


def test_a_text_that_postgresql_cannot_store_costs_the_text_only(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    chat(user)
    (record,) = read_kept()
    folder.release_files()
    folder.list_files()[0].unlink()
    free = record | {"generation_id": "gen_free", "hold_id": None}
    folder.keep(json.dumps(record | {"upstream_id": "a\0b"}))
    folder.keep(json.dumps(free | {"finish_reason": "\ud83d"}))
    assert late_settlements.settle_all() == (2, 0)
    assert set(Completion.objects.values_list("error", flat=True)) == {"unreadable"}


def test_a_record_that_the_database_refuses_stops_no_other(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], caplog: Any
) -> None:
    chat(user)
    (record,) = read_kept()
    folder.release_files()
    folder.list_files()[0].unlink()
    folder.keep(json.dumps(record | {"model": None}))
    folder.keep(json.dumps(record))
    assert late_settlements.settle_all() == (1, 1)
    assert f"completion {record['generation_id']} cannot be settled" in caplog.text
    settled_once(user, 1)


def test_a_record_from_before_a_restore_captures_no_hold_of_another(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    chat(user)
    (record,) = read_kept()
    Completion.objects.all().delete()
    folder.keep(json.dumps(record | {"generation_id": "gen_of_another_time"}))
    assert late_settlements.settle_all() == (1, 1)
    settled_once(user, 1)


def test_processes_that_drain_at_once_charge_each_completion_once(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception]
) -> None:
    for _ in range(10):
        chat(user)
        folder.release_files()  # as ten workers that have ended
    (path, *_) = folder.list_files()
    (path.parent / "1-1-copy.records").write_bytes(path.read_bytes())

    def drain(_: int) -> int:
        try:
            return late_settlements.settle_all()[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(drain, range(4))) == 11
    assert not folder.list_files()
    assert (Completion.objects.count(), ledger.balance(user).credits) == (10, 40)
    assert audit.run().findings == []


def test_a_disk_that_is_full_too_is_logged_and_the_answer_delivered(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], settings: Any, caplog: Any
) -> None:
    settings.SPOOL_DIR = "/proc/nowhere"
    response = chat(user)
    assert response.status_code == 200
    assert "its hold will expire" in caplog.text
    assert caplog.records[-1].levelname == "CRITICAL"


def test_a_settlement_that_takes_long_is_on_disk_before_it_succeeds(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], monkeypatch: Any
) -> None:
    waiting: list[int] = []
    own, wait = threading.get_ident(), time.sleep
    monkeypatch.setattr(settlement, "SETTLE_SECONDS", 60)

    def sleep(seconds: float) -> None:
        if threading.get_ident() == own:
            waiting.append(folder.count_waiting().records)
            away.clear()
        else:  # a thread of another test that has not ended yet
            wait(seconds)

    monkeypatch.setattr("llmproxy.completion.settlement.time.sleep", sleep)
    response = chat(user)
    assert (waiting, response["x-credits-remaining"]) == ([1], "49")
    assert late_settlements.settle_all() == (1, 0)
    settled_once(user, 1)


def test_a_database_that_is_away_ends_the_round_and_says_so(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], monkeypatch: Any
) -> None:
    chat(user)
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        with pytest.raises(late_settlements.DatabaseAway):
            late_settlements.settle_all()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    call_command("settle_spool")
    settled_once(user, 1)


def test_a_process_settles_what_it_has_kept_by_itself(
    chat: Chat, user: User, upstream: Upstream, away: list[Exception], monkeypatch: Any
) -> None:
    monkeypatch.setattr(late_settlements, "FIRST_PAUSE", 0.01)
    late_settlements.watch()
    assert list_drainers() == []  # nothing waits: nothing runs
    chat(user)
    (drainer,) = list_drainers()
    drainer.join(5)
    assert not drainer.is_alive()
    settled_once(user, 1)
