"""What a completion costs the operator: as the provider reports it, else by its prices."""

from decimal import Decimal

import pytest
from django.db import connection

from accounts.models import User
from llmproxy.metering.operator_costs import compute_usd
from llmproxy.metering.pricing import Usage
from llmproxy.models import Completion, Deployment
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Upstream
from tests.llmproxy.wild.conftest import Ask, read_all, settled

pytestmark = pytest.mark.django_db(transaction=True)
PRICES = {"prices": {"prompt": "0.0025", "cached_prompt": "0.00125", "completion": "0.01"}}
COUNTS = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 10},
}
COMPUTED = Decimal("0.0000875")  # 10 x 2.5 + 10 x 1.25 + 5 x 10 millionths of a dollar
ANSWER = (
    '{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}}], '
    '"usage": {"prompt_tokens": 20, "completion_tokens": 5, "cost": COST}}'
)
BAD = ["-1", '"-1"', '"free"', "1e300", "10000", "NaN", '"NaN"', "true", "[1]", "null", "{}"]


@pytest.fixture
def prices(ask: Ask) -> None:
    Deployment.objects.update(provider_prices=PRICES)


def require_cost(user: User, cost: Decimal | None, source: str | None) -> None:
    row = settled(user)
    assert (row.provider_cost, row.provider_cost_source) == (cost, source)


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_cost_is_computed_from_the_prices_of_the_provider(
    is_stream: bool, ask: Ask, payer: User, upstream: Upstream
) -> None:
    last = script.chunk(finish="stop", usage=COUNTS)
    upstream.script = (
        script.events(script.chunk("Hello"), last, DONE)
        if is_stream
        else script.answer(usage=COUNTS)
    )
    read_all(ask(stream=is_stream))
    require_cost(payer, COMPUTED, "computed")


@pytest.mark.usefixtures("prices")
def test_what_the_provider_reports_counts_more(ask: Ask, upstream: Upstream) -> None:
    for cost in ("0.5", "0"):
        upstream.script = script.answer(usage={**COUNTS, "cost": float(cost)})
        ask()
        row = Completion.objects.latest("pk")
        assert (row.provider_cost, row.provider_cost_source) == (Decimal(cost), "told")


@pytest.mark.usefixtures("prices")
def test_no_bad_cost_is_believed(ask: Ask, upstream: Upstream) -> None:
    for number, cost in enumerate(BAD, start=1):
        upstream.script = script.raw(ANSWER.replace("COST", cost).encode())
        assert ask().status_code == 200, cost
        row = Completion.objects.latest("pk")
        assert (row.provider_cost, row.provider_cost_source) == (Decimal("0.0001"), "computed")
        assert Completion.objects.count() == number


def test_without_report_and_prices_the_cost_is_unknown(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=COUNTS)
    ask()
    require_cost(payer, None, None)


@pytest.mark.usefixtures("prices")
def test_the_cost_of_an_answer_that_never_came_is_unknown(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.error(500)
    assert ask().status_code == 502
    require_cost(payer, None, None)


def test_prices_by_length_and_request() -> None:
    stored = (
        '{"prices": {"prompt": "1", "request": "0.5"}, '
        '"long": {"from": 100, "prices": {"prompt": "2"}}}'
    )
    assert compute_usd(stored, Usage(99, 7)) == "0.5990000000"
    assert compute_usd(stored, Usage(100, 7)) == "0.7000000000"
    assert compute_usd(stored, Usage(2**62, 0)) is None


def test_a_worker_of_the_version_before_settles_without_the_source(
    ask: Ask, upstream: Upstream
) -> None:
    upstream.script = script.answer(usage={**COUNTS, "cost": 0.25})
    ask()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gateway_settle(to_jsonb(c) - 'provider_cost_source' || jsonb_build_object("
            "'generation_id', 'gen_old', 'hold_id', NULL, 'most', 9, 'least', 0, "
            "'metadata', '{}'::jsonb, 'unused', '{}'::jsonb, 'key', NULL, 'answer', '')) "
            "FROM completions c"
        )
    row = Completion.objects.get(generation_id="gen_old")
    assert (row.provider_cost, row.provider_cost_source) == (Decimal("0.25"), None)
