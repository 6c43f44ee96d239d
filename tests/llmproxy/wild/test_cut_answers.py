"""Answers that do not come to their end: what was reported so far is not all that was used.

The prompt of a chat is estimated as 13 tokens, 4 bytes of text as one, at 5 credits each.
"""

from typing import Any

import pytest

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Upstream
from tests.llmproxy.wild.conftest import Ask, settled
from tests.llmproxy.wild.rows import (
    CHAT,
    MESSAGES,
    PROMPTS,
    RESPONSES,
    TEXT,
    Row,
    closing,
    delta,
    event,
    last,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)
PROMPT = PROMPTS[CHAT]
TEXT_OF_42 = "forty-two bytes of text, and a few more...".ljust(42, ".")
WORDS = "word " * 160  # 200 tokens
FAILURE = b'data: {"error": {"message": "no"}}\n\n'


def running(text: str, **usage: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event({"id": "1", "choices": [choice], "usage": usage})


def text_running(text: str, **usage: Any) -> bytes:
    return event({"id": "1", "choices": [{"index": 0, "text": text}], "usage": usage})


def message_running(**usage: Any) -> bytes:
    delta_of_text = {"type": "text_delta", "text": WORDS}
    return event(
        {"type": "content_block_delta", "index": 0, "delta": delta_of_text, "usage": usage}
    )


FAR = {"prompt_tokens": 20, "completion_tokens": 900, "total_tokens": 920}
NEAR = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
SPICE = {"prompt_tokens": 15, "completion_tokens": None}
# Each is left by its caller, cut, and ended by an error event after these pieces.
CUT = [
    Row(
        "no count of the completion",
        "spiceai #6600",
        script.until_hung_up(*[running(TEXT_OF_42, **SPICE)] * 400),
        15 + 4096 * 5,
    ),
    Row("fewer than came", "own", script.until_hung_up(running(WORDS, **NEAR)), 20 + 1000),
    Row("more than came", "own", script.until_hung_up(running(WORDS, **FAR)), 20 + 4500),
    Row(
        "as many as the total says",
        "own",
        script.until_hung_up(running(WORDS, prompt_tokens=20, total_tokens=420)),
        20 + 2000,
    ),
    Row(
        "zeros until the end",
        "own",
        script.until_hung_up(running(WORDS, prompt_tokens=0, completion_tokens=0)),
        PROMPT + 1000,
    ),
    Row(
        "a prompt only, and before the answer",
        "own",
        script.until_hung_up(
            closing({"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}),
            delta(WORDS),
        ),
        20 + 1000,
    ),
    Row(
        "a cache",
        "own",
        script.until_hung_up(
            running(WORDS, prompt_tokens=1000, completion_tokens=1, cached_tokens=960)
        ),
        40 + 96 + 1000,
    ),
    Row(
        "the longest that was allowed",
        "own",
        script.until_hung_up(running(WORDS, **FAR)),
        20 + 500,
        body={"max_tokens": 100},
    ),
    Row(
        "text",
        "own",
        script.until_hung_up(text_running(WORDS, **NEAR)),
        20 + 1000,
        path=TEXT,
    ),
    Row(
        "messages, counted in each delta",
        "dynamo #12473",
        script.until_hung_up(
            scripted_routes.message_start(20), message_running(input_tokens=20, output_tokens=3)
        ),
        20 + 1000,
        path=MESSAGES,
    ),
    Row(
        "messages, with a cache",
        "own",
        script.until_hung_up(
            scripted_routes.message_start(40, cache_read_input_tokens=960),
            message_running(output_tokens=900),
        ),
        40 + 96 + 4500,
        path=MESSAGES,
    ),
    Row(
        "responses",
        "own",
        script.until_hung_up(
            event(
                {
                    "type": "response.created",
                    "response": {
                        "status": "in_progress",
                        "usage": {"input_tokens": 20, "output_tokens": 0},
                    },
                }
            ),
            scripted_routes.response_piece(WORDS),
        ),
        20 + 1000,
        path=RESPONSES,
    ),
]


@pytest.mark.parametrize("row", CUT, ids=str)
def test_who_leaves_pays_the_larger_of_report_and_estimate(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = row.does
    response = ask(row.path, stream=True, **row.body)
    read, text = iter(response.streaming_content), b""
    words = TEXT_OF_42 if row.reference == "spiceai #6600" else WORDS
    while text.count(words.encode()) < (400 if words is TEXT_OF_42 else 1):
        text += next(read)
    response.close()
    assert upstream.hung_up.wait(3)
    receipt = settled(payer)
    assert (receipt.charged, receipt.usage_source, receipt.status) == (
        row.charged,
        "estimated",
        "interrupted",
    )


ENDS = [
    Row(
        "cut",
        "own",
        script.events(running(WORDS, **NEAR), cut=True),
        1020,
        "estimated",
        status="failed",
    ),
    Row(
        "without a finish",
        "own",
        script.events(running(WORDS, **NEAR)),
        1020,
        "estimated",
        status="failed",
    ),
    Row(
        "an error",
        "own",
        script.events(running(WORDS, **NEAR), FAILURE),
        1020,
        "estimated",
        status="failed",
    ),
    Row(
        "no JSON",
        "own",
        script.events(running(WORDS, **FAR), b"data: {\n\n"),
        4520,
        "estimated",
        status="failed",
    ),
    Row(
        "cut after the usage at the end",
        "docs/billing.md",
        script.events(delta(WORDS), closing(NEAR), cut=True),
        35,
        "exact",
        status="failed",
    ),
    Row(
        "cut after a finish with usage",
        "own",
        script.events(delta(WORDS), last(NEAR), cut=True),
        35,
        "exact",
        status="failed",
    ),
    Row(
        "cut after the usage, and text after it",
        "own",
        script.events(delta("Hello"), closing(NEAR), delta(WORDS), cut=True),
        20 + 202 * 5,
        "estimated",
        status="failed",
    ),
    Row(
        "whole, and usage only at its beginning",
        "own",
        script.events(running("Hello", **NEAR), delta(WORDS), last(), DONE),
        20 + 202 * 5,
        "estimated",
    ),
    Row(
        "whole, and usage at its beginning that suffices",
        "own",
        script.events(running("Hello", **FAR), delta(WORDS), last(), DONE),
        4520,
        "exact",
    ),
    Row(
        "whole, and no count of the completion",
        "spiceai #6600",
        script.events(
            *[running(TEXT_OF_42, **SPICE)] * 400,
            last({"prompt_tokens": 15, "completion_tokens": None}),
            DONE,
        ),
        15 + 4096 * 5,
        "estimated",
    ),
    Row(
        "ended by us",
        "own",
        script.until_hung_up(*[running("word " * 200, **NEAR)] * 4),
        20 + 50,
        "estimated",
        body={"max_tokens": 10},
    ),
]


@pytest.mark.parametrize(
    "pieces",
    [(running("", **NEAR), delta("")), (delta(""), closing(NEAR))],
    ids=["usage first", "usage last"],
)
def test_an_error_before_any_text_costs_nothing_whatever_was_reported(
    pieces: tuple[bytes, ...], ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.events(*pieces, FAILURE)
    assert ask(stream=True).status_code == 502
    receipt = settled(payer)
    assert (receipt.charged, receipt.usage_source, receipt.status) == (0, "none", "failed")


@pytest.mark.parametrize("row", ENDS, ids=str)
def test_an_answer_that_ends_otherwise(row: Row, ask: Ask, payer: User, upstream: Upstream) -> None:
    run(row, ask, payer, upstream)
