"""The limits of requests, tokens and simultaneous answers are exact under 64 threads.

Each is tested for a user, a plan, a key and a device.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from accounts.access import api_keys
from accounts.models import LIMITS, Plan, User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Hold
from credits.proof import audit
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.models import Completion
from tests.clock import control_clock
from tests.concurrently import concurrently
from tests.deviceauth.conftest import Device
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES, text_of
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, IN = 64, 5
PATH = "/v1/chat/completions"
# Tokens per minute for exactly IN calls, each with an answer of 1,000 tokens and its prompt.
TOKENS = IN * 1000 + 400
LIMIT = {"requests_per_minute": IN, "tokens_per_minute": TOKENS, "max_concurrent": IN}


@pytest.fixture(autouse=True)
def free_plan(transactional_db: None) -> Iterator[None]:
    """Reset the row of the plan, which is not deleted after a test."""
    yield
    Plan.objects.filter(slug="free").update(**dict.fromkeys(LIMITS))


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=1000)


@dataclass
class Limited:
    """A caller with one limit: its token, and the name of the limit."""

    token: str
    kind: str

    def __call__(self, **body: Any) -> Any:
        request_body = {"messages": MESSAGES, "max_tokens": 1000, **body}
        headers = {"Authorization": f"Bearer {self.token}"}
        return Client().post(PATH, request_body, content_type="application/json", headers=headers)


@pytest.fixture
def limited(request: pytest.FixtureRequest, user: User, make_token: Any) -> Limited:
    scope, kind = request.param
    rates = {kind: LIMIT[kind]}
    if scope == "key":
        return Limited(
            api_keys.create(user=user, name="CI", source=Source(), rates=rates).plain, kind
        )
    if scope == "device":
        device = Device().start().approved_by(user).redeem()
        device_sessions.set_rates(session=DeviceSession.objects.get(), rates=rates)
        return Limited(device.tokens["access_token"], kind)
    if scope == "user":
        # The user's own limit replaces that of the plan.
        Plan.objects.filter(slug="free").update(**dict.fromkeys(rates, 1))
        User.objects.filter(pk=user.pk).update(**rates)
    else:
        Plan.objects.filter(slug="free").update(**rates)
    return Limited(make_token(user), kind)


SCOPES = ("plan", "user", "key", "device")
every = pytest.mark.parametrize(
    "limited",
    [(scope, kind) for scope in SCOPES for kind in LIMITS],
    indirect=True,
    ids="-".join,
)
rated = pytest.mark.parametrize(
    "limited",
    [(scope, kind) for scope in SCOPES for kind in LIMITS[:2]],
    indirect=True,
    ids="-".join,
)


class Gate:
    """A provider that answers only after `refusals` callers were refused.

    An earlier answer would refund its unused tokens while other callers are still being counted.
    """

    def __init__(self, refusals: int) -> None:
        self.left, self.lock, self.open = refusals, threading.Lock(), threading.Event()

    def refused(self) -> None:
        with self.lock:
            self.left -= 1
            if self.left <= 0:
                self.open.set()

    def __call__(self, handler: script.Handler) -> None:
        self.open.wait(8)
        script.answer(usage=(20, 5))(handler)


def rush(limited: Limited, upstream: Upstream) -> list[Any]:
    upstream.script = gate = Gate(THREADS - IN)

    def one(_: int) -> Any:
        answer = limited()
        if answer.status_code != 200:
            gate.refused()
        return answer

    return concurrently(one, threads=THREADS)


@every
def test_exactly_so_many_of_64_get_in(limited: Limited, user: User, upstream: Upstream) -> None:
    answers = rush(limited, upstream)
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (IN, THREADS - IN)
    for refusal in (answer for answer in answers if answer.status_code == 429):
        assert refusal.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refusal["Retry-After"]) >= 1
        check_headers(refusal, limited.kind)
    assert (len(upstream.requests), Completion.objects.count(), Hold.objects.count()) == (
        IN,
        IN,
        IN,
    )
    assert ledger.balance(user) == ledger.Balance(credits=1000 - IN, held=0, plan="free")
    assert audit.run().findings == []


def check_headers(refusal: Any, kind: str) -> None:
    """The headers show per kind the limit that leaves least; refused calls count nothing."""
    limits = {name: refusal[f"x-ratelimit-{name}"] for name in ("limit-requests", "limit-tokens")}
    assert limits["limit-requests"] == (str(IN) if kind == "requests_per_minute" else "120")
    assert limits["limit-tokens"] == (str(TOKENS) if kind == "tokens_per_minute" else "2000000")
    left = int(refusal["x-ratelimit-remaining-requests"])
    assert left == 0 if kind == "requests_per_minute" else 120 - IN <= left <= 120
    if kind == "tokens_per_minute":
        assert int(refusal["x-ratelimit-remaining-tokens"]) < 1000
    for each in ("requests", "tokens"):
        assert 0 <= float(refusal[f"x-ratelimit-reset-{each}"].removesuffix("s")) <= 60


@rated
def test_after_waiting_the_next_gets_in(limited: Limited, upstream: Upstream) -> None:
    with control_clock() as clock:
        # Without an answer of the provider no tokens are refunded, so the limit stays used up.
        upstream.script = script.answer(usage=(20, 1000))
        statuses = [limited().status_code for _ in range(IN)]
        refusal = limited()
        assert ([*statuses], refusal.status_code) == ([200] * IN, 429)
        clock.forward(int(refusal["Retry-After"]) - 3)
        assert limited().status_code == 429
        clock.forward(3)
        assert limited().status_code == 200


@pytest.mark.parametrize(
    "limited", [(scope, "max_concurrent") for scope in SCOPES], indirect=True, ids=SCOPES
)
def test_when_one_has_ended_the_next_gets_in(
    limited: Limited, user: User, upstream: Upstream
) -> None:
    upstream.script = script.events(script.chunk("Hi"), script.chunk(finish="stop"), script.DONE)
    running = [limited(stream=True) for _ in range(IN)]
    assert limited(stream=True).status_code == 429
    running.pop().close()
    running.append(limited(stream=True))
    assert running[-1].status_code == 200
    assert limited(stream=True).status_code == 429
    for response in running:
        response.close()
    assert ledger.balance(user).held == 0


def left(answer: Any, kind: str = "tokens") -> int:
    return int(answer[f"x-ratelimit-remaining-{kind}"])


@pytest.mark.parametrize(
    "limited", [(scope, "tokens_per_minute") for scope in SCOPES], indirect=True, ids=SCOPES
)
@pytest.mark.parametrize(
    ("behaviour", "used"),
    [
        (script.answer(usage=(20, 5)), 25),
        (script.answer(usage=(20, 500)), 520),
        (script.error(500), 0),
    ],
    ids=["little", "more", "failed"],
)
def test_tokens_that_were_not_used_are_given_back(
    limited: Limited, upstream: Upstream, behaviour: script.Script, used: int
) -> None:
    upstream.script = behaviour
    first = limited()
    counted = TOKENS - left(first)
    second = limited()
    drip = TOKENS // 60 * 3  # what three seconds free
    assert 1000 < counted < 1080
    assert (
        TOKENS - used - counted - 1
        <= left(second)
        <= min(TOKENS - used - counted + drip, TOKENS - counted)
    )


@pytest.mark.parametrize(
    "limited", [(scope, "tokens_per_minute") for scope in SCOPES], indirect=True, ids=SCOPES
)
def test_tokens_that_were_used_and_not_counted_are_counted_then(
    limited: Limited, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(600, 10))
    first = limited(max_tokens=10)
    counted, drip = TOKENS - left(first), TOKENS // 60 * 3  # what three seconds free
    assert counted < 100
    second = limited(max_tokens=10)
    assert TOKENS - 610 - counted - 1 <= left(second) <= TOKENS - 610 - counted + drip
    rest = threading.Event()
    upstream.script = script.events(
        script.chunk("Hi", finish="stop"), rest, script.usage_chunk(600, 10), script.DONE
    )
    with control_clock() as clock:
        running = limited(stream=True, max_tokens=10)
        clock.forward(30)  # all of it is free again, and what comes is not counted from the past
        rest.set()
        assert "[DONE]" in text_of(running)
        assert TOKENS - 611 <= left(limited(max_tokens=10)) <= TOKENS - 610 + drip


def test_what_has_become_free_with_time_is_not_given_back_again(
    user: User, make_token: Any, upstream: Upstream
) -> None:
    User.objects.filter(pk=user.pk).update(tokens_per_minute=1000)
    caller = Limited(make_token(user), "tokens_per_minute")
    with control_clock() as clock:
        never = threading.Event()
        upstream.script = script.events(script.chunk("Hi"), never)
        first = caller(stream=True)  # takes the whole minute
        clock.forward(60)
        second = caller(stream=True)  # the next minute
        assert (first.status_code, second.status_code) == (200, 200)
        first.close()
        refusal = caller(stream=True)
        assert (refusal.status_code, left(refusal) < 100) == (429, True)
        second.close()
        assert caller(stream=True).status_code == 200
        never.set()


def test_a_limit_of_one_kind_says_nothing_of_the_other(user: User, upstream: Upstream) -> None:
    key = api_keys.create(user=user, name="CI", source=Source(), rates={"requests_per_minute": 3})
    answer = Limited(key.plain, "requests_per_minute")()
    limits = {
        name: answer[f"x-ratelimit-{name}"]
        for name in ("limit-requests", "remaining-requests", "limit-tokens")
    }
    assert limits == {"limit-requests": "3", "remaining-requests": "2", "limit-tokens": "2000000"}


def test_of_two_limits_the_one_that_leaves_least_is_told(user: User, upstream: Upstream) -> None:
    User.objects.filter(pk=user.pk).update(requests_per_minute=4)
    key = Limited(
        api_keys.create(
            user=user, name="A", source=Source(), rates={"requests_per_minute": 9}
        ).plain,
        "",
    )
    other = Limited(
        api_keys.create(
            user=user, name="B", source=Source(), rates={"requests_per_minute": 2}
        ).plain,
        "",
    )
    assert (key()["x-ratelimit-limit-requests"], other()["x-ratelimit-limit-requests"]) == (
        "4",
        "2",
    )
    assert [other().status_code, other().status_code, key().status_code, key().status_code] == [
        200,
        429,
        200,
        429,
    ]
    assert "your plan allows 4" in key().json()["error"]["message"]
    refusal = other()
    assert (refusal["x-ratelimit-limit-requests"], left(refusal, "requests")) == ("4", 0)


def test_a_free_model_is_limited_too(
    user: User, make_token: Any, upstream: Upstream, settings: Any
) -> None:
    settings.WEB_LLM_CREDIT_PER_1K_TOKENS = 0
    User.objects.filter(pk=user.pk).update(max_concurrent=1)
    caller = Limited(make_token(user), "")
    upstream.script = script.events(script.chunk("Hi"), script.chunk(finish="stop"), script.DONE)
    first = caller(stream=True)
    assert (first.status_code, caller(stream=True).status_code) == (200, 429)
    first.close()
    assert caller(stream=True).status_code == 200
