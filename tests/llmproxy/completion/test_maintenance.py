"""Under maintenance nothing begins, and what has begun ends as usual."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from accounts.operation import current
from accounts.operation.current import Snapshot
from credits.models import Hold
from llmproxy.models import Completion
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stream_under_way_ends_whole_and_is_charged(
    chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    response = chat(user, stream=True)
    pieces = iter(response.streaming_content)
    begun = next(pieces)
    current.put(Snapshot(1, {"MAINTENANCE": True}))
    body = (begun + b"".join(pieces)).decode()
    response.close()
    assert body.endswith("data: [DONE]\n\n")
    assert Completion.objects.get().status == "completed"
    calls = len(upstream.requests)
    assert chat(user, stream=True).status_code == 503
    assert (Completion.objects.count(), len(upstream.requests)) == (1, calls)
    assert not Hold.objects.filter(state=Hold.State.OPEN).exists()


def test_the_default_price_is_the_one_that_was_set(
    chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    usual = chat(user).json()["_credits"]["used"]
    current.put(Snapshot(1, {"WEB_LLM_CREDIT_PER_1K_TOKENS": 100}))
    assert chat(user).json()["_credits"]["used"] > usual
    current.put(Snapshot(2, {"WEB_LLM_CREDIT_PER_1K_TOKENS": None}))
    assert chat(user).status_code == 404


def test_the_usual_limit_is_the_one_that_was_set(
    chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    current.put(Snapshot(1, {"WEB_LLM_RPM": 1}))
    answers = [chat(user) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0]["x-ratelimit-limit-requests"] == "1"
