"""Faults while a completion runs, in the process of the tests. docs/faults.md lists all faults."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from django.db.transaction import atomic
from django.test import Client
from django.utils import timezone
from psycopg_pool import PoolTimeout

from accounts.models import User
from credits import ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from llmproxy import catalogue
from llmproxy.admission import admit
from llmproxy.models import Completion, LanguageModel
from smartspec.drill.database import (
    WAITING,
    deadlock,
    hold_lock,
    select_number,
    wait_for,
    wait_until_one_waits,
)
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)

Chat = Callable[..., Any]
Asking = Callable[[], "Future[Any]"]


@pytest.fixture
def asking(user: User, bearer: Any) -> Iterator[Asking]:
    """Call the gateway in another thread, on another connection."""
    headers = bearer(user)

    def post() -> Any:
        try:
            body = {"messages": MESSAGES, "max_tokens": 100}
            return Client().post(
                "/v1/chat/completions", body, content_type="application/json", headers=headers
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(post)


@pytest.fixture
def impatient() -> Iterator[None]:
    """Let every statement wait only 100 ms for a lock."""

    def hurry(connection: Any, **kwargs: Any) -> None:
        connection.connection.execute("SET lock_timeout = '100ms'")

    connection_created.connect(hurry)
    yield
    connection_created.disconnect(hurry)
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@contextmanager
def answering_at_the_end(upstream: Upstream) -> Iterator[threading.Event]:
    """A provider that answers when the block ends. The event is set when it is called."""
    called, over = threading.Event(), threading.Event()

    def wait(handler: Any) -> None:
        called.set()
        over.wait(10)
        script.answer(usage=(1500, 50))(handler)

    upstream.script = wait
    try:
        yield called
    finally:
        over.set()


def charged_once(user: User, credits: int) -> None:
    assert ledger.balance(user) == ledger.Balance(credits=50 - credits, held=0, plan="free")
    assert list(Transaction.objects.filter(type="usage").values_list("amount", flat=True)) == [
        -credits
    ]
    assert Completion.objects.get(charged__gt=0).charged == credits
    assert audit.run().findings == []


def test_a_hold_that_cannot_lock_its_account_is_503_and_nothing_is_held(
    impatient: None, asking: Asking, user: User, upstream: Upstream, monkeypatch: Any
) -> None:
    ask_once = mock.Mock(side_effect=admit._ask)
    monkeypatch.setattr(admit, "_ask", ask_once)
    with hold_lock(user):
        response = asking().result(10)
    assert ask_once.call_count == 1  # a lock timeout is not tried again
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert upstream.requests == []
    assert not Hold.objects.exists()
    assert ledger.balance(user) == ledger.Balance(credits=50, held=0, plan="free")


def test_a_capture_that_cannot_lock_its_account_is_tried_again(
    impatient: None, asking: Asking, user: User, upstream: Upstream
) -> None:
    with ExitStack() as lock:
        with answering_at_the_end(upstream) as called:
            answer = asking()
            assert called.wait(10)
            lock.enter_context(hold_lock(user))
        for _ in range(2):
            wait_until_one_waits()
            wait_for(lambda: not select_number(WAITING), "the end of the wait")
    assert answer.result(10).status_code == 200
    charged_once(user, 2)


def test_no_connection_is_kept_while_the_provider_works(
    asking: Asking, user: User, upstream: Upstream
) -> None:
    pool: Any = connection.pool  # type: ignore[attr-defined]

    def all_idle() -> bool:
        connection.close()
        figures = pool.get_stats()
        return bool(figures["pool_size"] == figures["pool_available"])

    with answering_at_the_end(upstream) as called:
        answer = asking()
        assert called.wait(10)
        wait_for(all_idle, "the return of every connection", seconds=2)
    assert answer.result(10).status_code == 200


def test_the_victim_of_a_deadlock_holds_at_the_second_try(
    asking: Asking, user: User, upstream: Upstream, monkeypatch: Any
) -> None:
    catalogue.adopt_environment()
    stale = ledger.hold(user=user, amount=50, reference_id="stale", seconds=0)
    ask_twice = mock.Mock(side_effect=admit._ask)
    monkeypatch.setattr(admit, "_ask", ask_twice)
    with suppress(OperationalError), atomic():
        select_number("SELECT id FROM credit_holds WHERE id = %s FOR UPDATE", stale.pk)
        answer = (
            asking()
        )  # locks the account, and waits for the row of the hold that it has to expire
        deadlock(user)
    assert answer.result(10).status_code == 200
    assert ask_twice.call_count == 2
    charged_once(user, 1)


def test_who_leaves_before_the_usage_arrives_pays_for_the_text(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    never = threading.Event()
    upstream.script = script.events(
        script.chunk("word " * 2000, finish="stop"), never, script.usage_chunk(9000, 9000)
    )
    response = chat(user, stream=True)
    next(iter(response.streaming_content))
    response.close()
    never.set()
    assert Completion.objects.get().usage_source == "estimated"
    charged_once(user, 3)


def test_an_answer_slower_than_its_hold_is_charged_once(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    rest = threading.Event()
    upstream.script = script.events(
        script.chunk("first", finish="stop"), rest, script.usage_chunk(1500, 50), script.DONE
    )
    content = iter((response := chat(user, stream=True)).streaming_content)
    next(content)
    Hold.objects.update(expires_at="2020-01-01T00:00Z")
    assert ledger.expire_holds() == 1
    rest.set()
    assert b"[DONE]" in b"".join(content)
    response.close()
    assert Transaction.objects.get(type="usage").hold == Hold.objects.get(state="expired")
    charged_once(user, 2)


def test_a_price_edited_while_an_answer_runs_changes_nothing_for_it(
    chat: Chat, user: User, upstream: Upstream
) -> None:
    chat(user)  # the first completion gives the model its row

    def expensive(handler: Any) -> None:
        LanguageModel.objects.filter(name="small").update(completion_price=Decimal(1000))
        connection.close()
        script.answer(usage=(20, 900))(handler)

    upstream.script = expensive
    assert chat(user).json()["_credits"]["used"] == 1
    assert LanguageModel.objects.filter(name="small", completion_price=1000).exists()
    assert audit.run().findings == []


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_web_servers_clock_that_is_wrong_decides_nothing(
    make_token: Any, client: Client, user: User, upstream: Upstream, minutes: int
) -> None:
    token = make_token(user, seconds=3600)
    upstream.script = script.answer(usage=(1500, 50))
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        body = {"messages": MESSAGES, "max_tokens": 100}
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post(
            "/v1/chat/completions", body, content_type="application/json", headers=headers
        )
        assert answer.status_code == 200
        left = ledger.hold(user=user, amount=5, reference_id="left", seconds=60)
        assert ledger.expire_holds() == 0  # by the database's clock
        ledger.release(hold=left)
    life = (
        "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM credit_holds "
        "WHERE reference_id <> 'left'"
    )
    assert -10 < select_number(life) - settings.HOLD_SECONDS <= 0
    charged_once(user, 2)


def test_a_hold_whose_reply_was_lost_is_asked_for_again_by_the_same_reference(
    chat: Chat, user: User, upstream: Upstream, monkeypatch: Any
) -> None:
    real = admit._ask
    references: list[str] = []

    def lose_first_reply(request: str, caller: Any) -> Any:
        references.append(json.loads(request)["reference"])
        decision = real(request, caller)
        if len(references) == 1:
            raise OperationalError
        return decision

    monkeypatch.setattr(admit, "_ask", lose_first_reply)
    assert chat(user, headers={"Idempotency-Key": "once"}).status_code == 200
    assert references[0] == references[1]
    assert Hold.objects.count() == 1
    charged_once(user, 1)


def test_a_refusal_waits_for_the_pool_once(
    chat: Chat, user: User, upstream: Upstream, monkeypatch: Any
) -> None:
    away = OperationalError("couldn't get a connection after 3.00 sec")
    away.__cause__ = PoolTimeout()
    ask = mock.Mock(side_effect=away)
    monkeypatch.setattr(admit, "_ask", ask)
    answer = chat(user)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert ask.call_count == 1
    assert settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"] <= 3
