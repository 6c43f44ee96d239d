"""What the operator pays a provider is on the row of the completion, and in no answer.

Each row: the provider, what is in its usage or beside it, and the cost in US dollars. The charge is
that of 20 + 5 tokens, whatever the provider says that it cost.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from llmproxy.models import Completion
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Upstream
from tests.llmproxy.wild.conftest import Ask, read_all, settled

pytestmark = pytest.mark.django_db(transaction=True)

COUNTS = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
Node = dict[str, Any]
IN_USAGE: dict[str, tuple[Node, str | None]] = {
    "OpenRouter": (
        {
            "cost": 0.00123,
            "is_byok": False,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 0.0011,
                "upstream_inference_completions_cost": 0.00013,
            },
        },
        "0.00123",
    ),
    "OpenRouter, with a key of the operator's own": (
        {"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}},
        "0.0021",
    ),
    "xAI": ({"cost_in_usd_ticks": 37756000, "num_sources_used": 2}, "0.0037756"),
    "Perplexity": (
        {
            "search_context_size": "low",
            "cost": {"input_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.006},
        },
        "0.006",
    ),
    "DeepInfra": ({"estimated_cost": 2.5e-06}, "0.0000025"),
    "as text": ({"total_cost": "0.0040"}, "0.004"),
    "in camel case": ({"totalCost": 0.5, "costDetails": {"total": 0.5}}, "0.5"),
    "zero": ({"cost": 0}, "0"),
    "two, and the larger": ({"cost": 0.25, "estimated_cost": 0.5}, "0.5"),
    "in the details": ({"completion_tokens_details": {"reasoning_cost": 0.1}}, None),
    "negative": ({"cost": -1}, None),
    "huge": ({"cost": 10**30}, None),
    "a list": ({"cost": [1]}, None),
    "true": ({"cost": True, "is_byok": "yes"}, None),
    "no number": ({"cost": "free", "cost_usd": "1e999"}, None),
    "nested deep": ({"cost": {"total_cost": {"total_cost": 1}}}, None),
    "null": ({"cost": None, "cost_details": None, "is_byok": None}, None),
    "an account": ({"credits_remaining": 17, "organization": "secret"}, None),
}
BESIDE: dict[str, tuple[Node, str | None]] = {
    "total_cost": ({"total_cost": 0.25}, "0.25"),
    "LiteLLM": ({"_hidden_params": {"response_cost": 0.1, "api_base": "http://secret"}}, None),
    "NanoGPT": ({"x_nanogpt_pricing": {"amount": 0.1, "currency": "USD"}}, None),
    "Vercel": ({"provider_metadata": {"gateway": {"cost": "0.0031", "routing": {}}}}, "0.0031"),
    "AIML API": ({"meta": {"usage": {"credits_used": 120}, "usd_spent": 0.1}}, None),
    "an account": ({"account_id": "secret", "system_fingerprint": "fp_1"}, None),
}
SPELT = ("cost", "byok", "pric", "usd", "credits_", "hidden", "account", "organization", "secret")


def require_nothing_shown(text: str) -> None:
    shown = text.replace("_credits", "").replace(": credits", "").lower()
    assert [name for name in SPELT if name in shown] == []


def require_row(user: User, cost: str | None) -> None:
    row = settled(user)
    assert (row.charged, row.usage_source) == (45, "exact")
    assert row.provider_cost == (None if cost is None else Decimal(cost))


def with_usage(path: str, more: Node) -> tuple[script.Script, list[bytes]]:
    """An answer and a stream whose usage has these members besides the counts."""
    if path == "/v1/chat/completions":
        usage = {**COUNTS, **more}
        final = script.chunk(finish="stop")
        last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
        return script.answer(usage=usage), [script.chunk("Hello"), final, last, DONE]
    if path == "/v1/responses":
        counts = {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25, **more}
        whole = {**scripted_routes.response(), "usage": counts}
        event = scripted_routes.event("response.completed", response=whole, sequence_number=9)
        pieces = [*scripted_routes.response_pieces("Hello")[:-1], event]
        return script.raw(json.dumps(whole).encode()), pieces
    counts = {"input_tokens": 20, "output_tokens": 5, **more}
    pieces = scripted_routes.message_pieces("Hello")
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    pieces[-2] = scripted_routes.event("message_delta", delta=delta, usage=counts)
    return scripted_routes.as_message(usage=counts), pieces


@pytest.mark.parametrize(("more", "cost"), IN_USAGE.values(), ids=IN_USAGE)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_cost_in_the_usage(
    more: Node,
    cost: str | None,
    path: str,
    is_stream: bool,
    ask: Ask,
    payer: User,
    upstream: Upstream,
) -> None:
    answer, pieces = with_usage(path, more)
    upstream.script = script.events(*pieces) if is_stream else answer
    chat = path == "/v1/chat/completions"
    options = {"stream_options": {"include_usage": True}} if chat and is_stream else {}
    text = read_all(ask(path, stream=is_stream, **options)).decode()
    require_nothing_shown(text)
    assert '"prompt_tokens":20' in text or '"input_tokens":20' in text
    assert "Hello" in text
    assert ("num_sources_used" in text) == ("num_sources_used" in more)
    require_row(payer, cost)


@pytest.mark.parametrize(("more", "cost"), BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_cost_beside_the_usage(
    more: Node, cost: str | None, is_stream: bool, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = (
        script.events(
            script.chunk("Hello"), script.chunk(finish="stop", usage=COUNTS, **more), DONE
        )
        if is_stream
        else script.answer(**more)
    )
    text = read_all(ask(stream=is_stream)).decode()
    require_nothing_shown(text)
    assert ("system_fingerprint" in text) == ("system_fingerprint" in more)
    require_row(payer, cost)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_cost_in_the_metadata_of_a_message(
    is_stream: bool, ask: Ask, payer: User, upstream: Upstream
) -> None:
    metadata = {"gateway": {"cost": "0.0031", "marketCost": "0.0032", "routing": {"a": 1}}}
    message = {"role": "assistant", "content": "Hello", "provider_metadata": metadata}
    choice = {"index": 0, "finish_reason": "stop"}
    upstream.script = (
        script.events(
            script.chunk(choices=[{**choice, "delta": message}]), script.usage_chunk(), DONE
        )
        if is_stream
        else script.answer(choices=[{**choice, "message": message}])
    )
    text = read_all(ask(stream=is_stream)).decode()
    require_nothing_shown(text)
    assert '"routing":{"a":1}' in text.replace(" ", "")
    require_row(payer, "0.0031")


def test_running_costs_are_one_cost(ask: Ask, payer: User, upstream: Upstream) -> None:
    pieces = [
        script.chunk("word ", usage={**COUNTS, "completion_tokens": number, "cost": number / 1000})
        for number in range(1, 6)
    ]
    upstream.script = script.events(*pieces, script.chunk(finish="stop"), DONE)
    text = read_all(ask(stream=True)).decode()
    require_nothing_shown(text)
    assert text.count("word ") == 5
    require_row(payer, "0.005")


def test_what_is_said_about_costs_is_passed_on(ask: Ask, payer: User, upstream: Upstream) -> None:
    """The words of the answer, a tool's arguments and the caller's own metadata are no costs."""
    call = {"name": "pay", "arguments": '{"cost": 5, "account": "mine"}'}
    message = {
        "role": "assistant",
        "content": "The cost is 5 USD.",
        "tool_calls": [{"id": "c", "type": "function", "function": call, "cost_center": 7}],
    }
    choices = [{"index": 0, "finish_reason": "tool_calls", "message": message}]
    sent: Node = {"choices": choices, "metadata": {"cost_center": "R&D"}}
    upstream.script = script.answer(usage={**COUNTS, "cost": 1}, **sent)
    answer = ask().json()
    assert {name: answer[name] for name in sent} == sent
    assert answer["usage"] == COUNTS


def test_events_without_a_cost_are_passed_on_byte_by_byte(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    odd = b'data: {"choices": [{"delta": {"content": "cost"}}], "usage": null,  "x":  1}\n\n'
    last = json.dumps({**COUNTS, "cost": 1})
    usage = (
        f'data: {{"choices": [{{"delta": {{}}, "finish_reason": "stop"}}], "usage": {last}}}\n\n'
    )
    upstream.script = script.events(odd, usage.encode(), DONE)
    text = read_all(ask(stream=True))
    assert text.startswith(odd)
    assert json.loads(text.split(b"\n\n")[1].removeprefix(b"data: "))["usage"] == COUNTS


def test_a_repeated_answer_has_no_cost_either(ask: Ask, payer: User, upstream: Upstream) -> None:
    upstream.script = script.answer(usage={**COUNTS, "cost": 1})
    first, second = (ask(headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert second["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()
    require_nothing_shown(second.content.decode())


def test_the_operator_sees_the_cost_and_the_user_does_not(
    ask: Ask, payer: User, upstream: Upstream, admin_client: Client, client: Client, bearer: Any
) -> None:
    upstream.script = script.answer(usage={**COUNTS, "cost": 0.00123})
    generation = ask()["x-generation-id"]
    row = Completion.objects.get()
    page = admin_client.get(reverse("admin:llmproxy_completion_change", args=[row.pk]))
    assert "0.00123 USD" in page.content.decode()
    receipt = client.get(f"/v1/generation?id={generation}", headers=bearer(payer))
    assert "0.00123" not in receipt.content.decode()
    client.force_login(payer)
    page = client.get(f"/account/completions/{generation}")
    assert page.status_code == 200
    assert "0.00123" not in page.content.decode()
