"""Counts that are missing, zero, repeated, or not true.

Prompt 1 credit a token, cached 0.1, written to a cache 1.25, completion 5. The prompt of a chat is
estimated as 13 tokens, "Hello" as 2.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Upstream
from tests.llmproxy.wild.conftest import Ask
from tests.llmproxy.wild.rows import (
    EMBEDDINGS,
    MESSAGES,
    PROMPTS,
    RESPONSES,
    TEXT,
    Row,
    answer,
    closing,
    delta,
    event,
    last,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)
PROMPT = PROMPTS["/v1/chat/completions"]
NAN, INFINITE = float("nan"), float("inf")


def counts(prompt: Any = 20, completion: Any = 5, total: Any = None, **more: Any) -> Any:
    with_total = {} if total is None else {"total_tokens": total}
    return {"prompt_tokens": prompt, "completion_tokens": completion, **with_total, **more}


def message(usage: Any) -> script.Script:
    return script.raw(json.dumps(scripted_routes.message() | {"usage": usage}).encode())


def response(usage: Any) -> script.Script:
    return script.raw(json.dumps(scripted_routes.response() | {"usage": usage}).encode())


def text_answer(usage: Any) -> script.Script:
    choice = {"index": 0, "text": "Hello", "finish_reason": "stop"}
    return script.raw(json.dumps({"choices": [choice], "usage": usage}).encode())


UNREADABLE: dict[str, Any] = {
    "null": None,
    "text": "5",
    "no number": "many",
    "negative": -5,
    "a fraction": 4.5,
    "NaN": NAN,
    "infinite": INFINITE,
    "true": True,
    "nested": {"value": 5},
    "a list": [5],
    "absurd": 2**63,
    "absurd as a float": 1e300,
}
UNKNOWN = [
    *(
        Row(f"a completion: {name}, with a total", "own", answer(counts(20, value, 50)), 170)
        for name, value in UNREADABLE.items()
    ),
    *(
        Row(f"a completion: {name}", "own", answer(counts(20, value)), 20 + 10, "estimated")
        for name, value in UNREADABLE.items()
    ),
    *(
        Row(f"a prompt: {name}, with a total", "own", answer(counts(value, 5, 25)), 45)
        for name, value in UNREADABLE.items()
    ),
    *(
        Row(f"a prompt: {name}", "own", answer(counts(value, 5)), PROMPT + 25, "estimated")
        for name, value in UNREADABLE.items()
    ),
    *(
        Row(f"a total: {name}", "own", answer(counts(20, 5) | {"total_tokens": value}), 45)
        for name, value in UNREADABLE.items()
    ),
    *(
        Row(f"a cache: {name}", "own", answer(counts(20, 5, 25, cached_tokens=value)), 45)
        for name, value in UNREADABLE.items()
    ),
    Row("the issue", "wild.md", answer(counts(20, None, 50)), 170),
    Row("floats that are integers", "own", answer(counts(20.0, 5.0, 25.0)), 45),
    Row("an exponent", "own", script.raw(b'{"choices": [], "usage": {"prompt_tokens": 2e1}}'), 20),
    Row("all of them null", "own", answer(counts(None, None)), PROMPT + 10, "estimated"),
    Row("a usage that is text", "own", answer("20 tokens"), PROMPT + 10, "estimated"),
    Row("an empty usage", "own", answer({}), PROMPT + 10, "estimated"),
    # 2 tokens of the answer at least; the other 23 can be the prompt, which has 49 bytes.
    Row("only a total", "own", answer({"total_tokens": 25}), 23 + 10, "estimated"),
    # 49 tokens can be the prompt. The others can only be the answer.
    Row("only a large total", "own", answer({"total_tokens": 60}), 49 + 55, "estimated"),
    Row(
        "streamed",
        "own",
        script.events(delta("Hello"), last(counts(20, None, 50)), DONE),
        170,
    ),
    Row(
        "messages",
        "own",
        message({"input_tokens": 20, "output_tokens": None}),
        30,
        "estimated",
        MESSAGES,
    ),
    Row(
        "messages, the prompt",
        "own",
        message({"input_tokens": "20", "output_tokens": 5}),
        PROMPTS[MESSAGES] + 25,
        "estimated",
        MESSAGES,
    ),
    Row(
        "responses",
        "own",
        response({"input_tokens": 20, "output_tokens": -1, "total_tokens": 50}),
        170,
        path=RESPONSES,
    ),
    Row(
        "responses, no total",
        "own",
        response({"input_tokens": 20, "output_tokens": -1}),
        30,
        "estimated",
        RESPONSES,
    ),
]
SEVERAL = [
    Row(
        "zeros after the finish",
        "ggcode #1286",
        script.events(delta("Hello"), last(counts(20, 5, 25)), closing(counts(0, 0, 0)), DONE),
        45,
    ),
    Row(
        "nulls after the finish",
        "own",
        script.events(delta("Hello"), last(counts(20, 5, 25)), closing(counts(None, None)), DONE),
        45,
    ),
    Row(
        "a zero at first",
        "CLIProxyAPI #4964",
        script.events(
            delta("Hello"),
            event({"choices": [], "usage": counts(0, 0, 0)}),
            delta("!"),
            last(counts(20, 5, 25)),
            DONE,
        ),
        45,
    ),
    Row(
        "running sums are not added",
        "InsForge #2015",
        script.events(
            *(
                event(
                    {
                        "choices": [{"index": 0, "delta": {"content": "x"}}],
                        "usage": counts(20, number),
                    }
                )
                for number in (1, 3, 5)
            ),
            last(counts(20, 5)),
            DONE,
        ),
        45,
    ),
    Row(
        "each count in another usage",
        "own",
        script.events(
            delta("Hello"),
            last({"prompt_tokens": 20}),
            closing({"completion_tokens": 5}),
            DONE,
        ),
        45,
    ),
    Row(
        "in a choice, in a vendor's object and in the chunk",
        "own",
        script.events(
            delta("Hello"),
            event(
                {
                    "choices": [
                        {"index": 0, "delta": {}, "finish_reason": "stop", "usage": counts(20, 4)}
                    ],
                    "x_acme": {"usage": counts(0, 5)},
                    "usage": counts(20, 0),
                }
            ),
            DONE,
        ),
        45,
    ),
    Row(
        "messages count up",
        "tensorzero #5481",
        script.events(
            scripted_routes.message_start(20),
            scripted_routes.message_piece("Hello"),
            event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3}}),
            event(
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 5, "input_tokens": 0},
                }
            ),
            event({"type": "message_stop"}),
        ),
        45,
        path=MESSAGES,
    ),
    Row(
        "messages, a prompt of zero that is never corrected",
        "auto_ai_router #142",
        script.events(
            scripted_routes.message_start(0),
            scripted_routes.message_piece("Hello"),
            event(
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 5},
                }
            ),
            event({"type": "message_stop"}),
        ),
        PROMPTS[MESSAGES] + 25,
        "estimated",
        MESSAGES,
    ),
    Row(
        "messages, usage in each delta",
        "dynamo #12473",
        script.events(
            scripted_routes.message_start(20),
            *(
                event(
                    {
                        "type": "content_block_delta",
                        "index": 0,
                        "delta": {"type": "text_delta", "text": "x"},
                        "usage": {"input_tokens": 20, "output_tokens": number},
                    }
                )
                for number in (1, 3, 5)
            ),
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            event({"type": "message_stop"}),
        ),
        45,
        path=MESSAGES,
    ),
    Row(
        "messages, Bedrock's metrics in the last event",
        "docs.aws.amazon.com: invocationMetrics",
        script.events(
            scripted_routes.message_start(None),
            scripted_routes.message_piece("Hello"),
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            event(
                {
                    "type": "message_stop",
                    "amazon-bedrock-invocationMetrics": {
                        "inputTokenCount": 40,
                        "outputTokenCount": 5,
                        "cacheReadInputTokenCount": 960,
                    },
                }
            ),
        ),
        161,
        path=MESSAGES,
    ),
]
WORDS = "word " * 3200  # 16 KB
ZEROS = [
    Row("nothing was used", "metering.md", answer(counts(0, 0, 0)), 0),
    Row("an empty answer", "own", script.answer("", usage=(20, 0)), 20),
    Row("a short answer", "own", answer(counts(20, 0, 20)), 20),
    Row("a prompt, as the total says", "own", answer(counts(0, 5, 5)), 25),
    Row("a prompt, which the total denies", "own", answer(counts(0, 5, 25)), 45),
    Row("a prompt, without a total", "own", answer(counts(0, 5)), PROMPT + 25, "estimated"),
    Row("a completion, which the total denies", "own", answer(counts(20, 0, 25)), 45),
    Row("both, which the total denies", "own", answer(counts(0, 0, 25)), 33, "estimated"),
    Row("a prompt alone", "own", answer({"prompt_tokens": 0}), PROMPT + 10, "estimated"),
    Row(
        "a completion of 16 KB",
        "own",
        script.answer(WORDS, usage=(20, 0)),
        20 + 4000 * 5,
        "estimated",
    ),
    Row(
        "before the answer, and no other usage",
        "own",
        script.events(closing(counts(0, 0, 0)), delta("Hello"), last(), DONE),
        PROMPT + 10,
        "estimated",
    ),
    Row("embeddings", "own", scripted_routes.vectors(usage=(0, 0)), 0, path=EMBEDDINGS),
]
HIDDEN = [
    Row("Gemini, through OpenAI's names", "any-llm #1290", answer(counts(20, 198, 623)), 3035),
    Row(
        "streamed",
        "litellm #41388",
        script.events(delta("Hello"), last(), closing(counts(20, 198, 623)), DONE),
        3035,
    ),
    Row(
        "xAI",
        "genai-prices: x-ai",
        answer(counts(20, 198, 623, completion_tokens_details={"reasoning_tokens": 405})),
        3035,
    ),
    Row(
        "OpenAI, whose completion has it",
        "platform.openai.com",
        answer(counts(20, 603, 623, completion_tokens_details={"reasoning_tokens": 405})),
        3035,
    ),
    Row(
        "more reasoning than completion, without a total",
        "own",
        answer(counts(20, 198, completion_tokens_details={"reasoning_tokens": 405})),
        3035,
    ),
    Row(
        "reasoning that the total does not contain",
        "docs.perplexity.ai",
        answer(counts(20, 603, 623, reasoning_tokens=193_823, citation_tokens=20_016)),
        3035,
    ),
    Row(
        "Gemini's own names",
        "hermes-agent #48712",
        answer(
            None,
            usageMetadata={
                "promptTokenCount": 20,
                "candidatesTokenCount": 198,
                "thoughtsTokenCount": 405,
                "totalTokenCount": 623,
            },
        ),
        3035,
    ),
    Row(
        "Gemini's own names, candidates with thoughts",
        "litellm: vertex_ai/gemini",
        answer(
            None,
            usageMetadata={
                "promptTokenCount": 20,
                "candidatesTokenCount": 603,
                "thoughtsTokenCount": 405,
                "totalTokenCount": 623,
            },
        ),
        3035,
    ),
    Row(
        "Gemini, all of it thought",
        "own",
        answer(None, usageMetadata={"promptTokenCount": 20, "thoughtsTokenCount": 603}),
        3035,
    ),
    Row(
        "Gemini, a tool's results are prompt",
        "raif #470",
        answer(
            None,
            usageMetadata={
                "promptTokenCount": 15,
                "toolUsePromptTokenCount": 5,
                "candidatesTokenCount": 198,
                "thoughtsTokenCount": 405,
                "totalTokenCount": 623,
            },
        ),
        3035,
    ),
    Row(
        "beside a cache",
        "own",
        answer(
            {
                "input_tokens": 20,
                "cache_read_input_tokens": 100,
                "output_tokens": 198,
                "total_tokens": 723,
            }
        ),
        20 + 10 + 3015,
    ),
    Row("text", "own", text_answer(counts(20, 198, 623)), 3035, path=TEXT),
    Row(
        "responses",
        "own",
        response({"input_tokens": 20, "output_tokens": 198, "total_tokens": 623}),
        3035,
        path=RESPONSES,
    ),
    Row(
        "messages",
        "own",
        message({"input_tokens": 20, "output_tokens": 198, "total_tokens": 623}),
        3035,
        path=MESSAGES,
    ),
    Row(
        "beyond the limit",
        "own",
        answer(counts(20, 5, 623)),
        520,
        "capped",
        body={"max_tokens": 100},
    ),
]
LIES = [
    Row("a completion", "own", answer(counts(20, 2**39)), 20 + 4096 * 5, "capped"),
    Row("a prompt", "own", answer(counts(2**39, 5)), 49 + 25, "capped"),
    Row("a total", "own", answer(counts(20, 5, 2**39)), 20 + 4096 * 5, "capped"),
    Row("both", "own", answer(counts(2**39, 2**39, 1)), 49 + 4096 * 5, "capped"),
    Row("a cache", "own", answer(counts(20, 5, cached_tokens=2**39)), 27),
    Row("reasoning", "own", answer(counts(20, 5, 25, reasoning_tokens=2**39)), 45),
    Row(
        "reasoning, without a total",
        "own",
        answer(counts(20, 5, reasoning_tokens=2**39)),
        20 + 4096 * 5,
        "capped",
    ),
    Row(
        "a cache beside the prompt",
        "own",
        message({"input_tokens": 2, "cache_read_input_tokens": 2**39, "output_tokens": 5}),
        5 + 25,
        "capped",
        MESSAGES,
    ),
    Row(
        "a prompt of embeddings",
        "own",
        scripted_routes.vectors(usage=(2**39, 0)),
        2,
        "capped",
        EMBEDDINGS,
    ),
    Row(
        "iterations",
        "own",
        message({"iterations": [{"input_tokens": 2**39, "output_tokens": 2**39}] * 5}),
        49 + 4096 * 5,
        "capped",
        MESSAGES,
    ),
    Row(
        "nested without end",
        "own",
        answer({"prompt_tokens_details": {"cached_tokens": {"cached_tokens": {}}}}),
        PROMPT + 10,
        "estimated",
    ),
]


@pytest.mark.parametrize("row", UNKNOWN, ids=str)
def test_unknown_is_not_zero(row: Row, ask: Ask, payer: User, upstream: Upstream) -> None:
    run(row, ask, payer, upstream)


@pytest.mark.parametrize("row", SEVERAL, ids=str)
def test_of_several_usages_the_largest_counts(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    run(row, ask, payer, upstream)


@pytest.mark.parametrize("row", ZEROS, ids=str)
def test_a_zero_counts_if_the_answer_does_not_deny_it(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    run(row, ask, payer, upstream)


@pytest.mark.parametrize("row", HIDDEN, ids=str)
def test_thinking_that_only_the_total_shows(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    run(row, ask, payer, upstream)


@pytest.mark.parametrize("row", LIES, ids=str)
def test_a_lie_is_bounded_by_what_was_held(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    _body, receipt = run(row, ask, payer, upstream)
    assert receipt.charged <= receipt.held


def test_the_client_gets_the_usage_that_is_charged(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    zeros, whole = SEVERAL[0], {"stream_options": {"include_usage": True}}
    body, _receipt = run(replace(zeros, body=whole), ask, payer, upstream)
    usage = json.loads(body.decode().split("\n\n")[-3].removeprefix("data: "))["usage"]
    assert usage == {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
