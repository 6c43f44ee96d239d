"""What counts as generated text: for estimates, and for the end of an answer that is too long.

The prompt of a chat is estimated as 13 tokens, 4 bytes of text as one, at 5 credits each.
"""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from accounts.models import User
from tests.llmproxy import scripted_routes
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.scripted_upstream import DONE, Script, Upstream
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
BODY = base64.b64encode(bytes(range(256)) * 1200).decode()  # 400 KB
IMAGE = f"data:image/png;base64,{BODY}"
CIPHER = "gAAAAAB" + BODY[:40_000]
WORD = "x" * 40  # 10 tokens
USAGE = {"prompt_tokens": 20, "completion_tokens": 1300, "total_tokens": 1320}


def whole(*pieces: bytes, usage: Any = USAGE) -> Script:
    with_usage = [closing(script.build_usage(usage))] if usage else []
    return script.events(*pieces, last(), *with_usage, DONE)


def message_of(**members: Any) -> Script:
    message = {"role": "assistant", "content": WORD, **members}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return script.raw(json.dumps({"id": "1", "choices": [choice]}).encode())


def split(text: str, size: int) -> list[bytes]:
    return [delta(text[start : start + size]) for start in range(0, len(text), size)]


def message_stream(*pieces: bytes) -> Script:
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    return script.events(
        scripted_routes.message_start(None), *pieces, event(end), event({"type": "message_stop"})
    )


def block(**members: Any) -> bytes:
    return event({"type": "content_block_delta", "index": 0, "delta": members})


def response_of(*items: dict[str, Any]) -> Script:
    answer = scripted_routes.response(usage=None) | {"output": list(items)}
    return script.raw(json.dumps(answer).encode())


IMAGES = {
    "in images": [delta("Here", images=[{"type": "image_url", "image_url": {"url": IMAGE}}])],
    "in the content": [delta(f"![it]({IMAGE})")],
    "in a part": [delta([{"type": "image_url", "image_url": {"url": IMAGE}}])],
    "in a part of text": [delta([{"type": "text", "text": f"Here: {IMAGE} !"}])],
    "in pieces": split(f"Here: ![it]({IMAGE}) it is", 5000),
    "in small pieces": split(f"Here: ![it]({IMAGE[:30_000]}) it is", 16),
    "in the arguments of a tool": [
        delta(
            tool_calls=[
                {
                    "index": 0,
                    "id": "call_1",
                    "function": {"name": "show", "arguments": json.dumps({"image": IMAGE})},
                }
            ]
        )
    ],
    "audio": [delta(audio={"id": "audio_1", "data": BODY, "transcript": "Hi"})],
    "encrypted reasoning": [
        delta(reasoning_details=[{"type": "reasoning.encrypted", "data": BODY, "id": "rs_1"}])
    ],
}
MEDIA = [Row(name, "open-webui #18373", whole(*pieces), 6520) for name, pieces in IMAGES.items()]
RESULTS = scripted_routes.message() | {
    "usage": None,
    "content": [
        {"type": "server_tool_use", "id": "s" * 99, "name": "x" * 10, "input": {"q": "y" * 1}},
        {
            "type": "web_search_tool_result",
            "content": [{"title": WORD, "encrypted_content": CIPHER}],
        },
        {"type": "text", "text": "z" * 21, "citations": [{"cited_text": WORD}]},
    ],
}
NO_TEXT = [
    Row("an image", "own", message_of(images=[{"image_url": {"url": IMAGE}}]), PROMPT + 50),
    Row("an image in the content", "own", message_of(content=WORD + IMAGE), PROMPT + 50),
    Row(
        "text after an image",
        "own",
        message_of(content=f"{WORD}![]({IMAGE}){WORD}"),
        # the brackets and signs around it: 6 bytes
        PROMPT + 110,
    ),
    Row("two images", "own", message_of(content=f"{WORD} {IMAGE} {IMAGE}"), PROMPT + 55),
    Row(
        "text that is only like a data URL",
        "own",
        message_of(content="data: " + "data:text/plain,hello data: " + "x" * 6),
        PROMPT + 50,
    ),
    Row(
        "an image in pieces",
        "own",
        whole(*split(f"{WORD}![]({IMAGE[:9000]}){WORD}", 7), usage=None),
        PROMPT + 110,
    ),
    Row(
        "two choices, each with an image in pieces",
        "own",
        whole(
            *(
                event({"choices": [{"index": index, "delta": {"content": piece}}]})
                for piece in (WORD, "data:image/png;base", "64,AAAA", "AAAA)", WORD)
                for index in (0, 1)
            ),
            usage=None,
        ),
        PROMPT + 5 * 41,
        body={"n": 2},
    ),
    Row("audio", "own", message_of(content=None, audio={"data": BODY, "transcript": WORD}), 63),
    Row(
        "encrypted reasoning",
        "openrouter.ai",
        message_of(
            reasoning_details=[
                {"type": "reasoning.encrypted", "data": CIPHER, "format": "openai-responses-v1"}
            ]
        ),
        63,
    ),
    Row(
        "signatures",
        "ai.google.dev",
        message_of(
            tool_calls=[
                {
                    "id": "call_" + "9" * 400,
                    "type": "function",
                    "function": {"name": "x" * 20, "arguments": "y" * 20},
                    "extra_content": {"google": {"thought_signature": CIPHER}},
                }
            ],
            extra_content={"google": {"thought_signature": CIPHER}},
        ),
        113,
    ),
    Row(
        "what a provider adds",
        "docs.perplexity.ai",
        message_of(
            annotations=[{"type": "url_citation", "url_citation": {"title": WORD, "url": WORD}}],
            citations=[WORD],
            search_results=[{"title": WORD, "snippet": WORD}],
            provider_specific_fields={"citations": [WORD], "text": WORD},
            context={"citations": [{"content": WORD}]},
        ),
        63,
    ),
    Row(
        "parts that are results",
        "own",
        message_of(
            content=[
                {"type": "text", "text": WORD},
                {"type": "search_result", "content": WORD, "title": WORD},
                {"type": "retrieved_context", "text": WORD},
                {"type": "reference", "reference_ids": [1]},
                {"type": "input_audio", "input_audio": {"data": BODY}},
            ]
        ),
        63,
    ),
    Row(
        "log probabilities",
        "own",
        script.raw(
            json.dumps(
                {
                    "choices": [
                        {
                            "message": {"content": WORD},
                            "logprobs": {"content": [{"token": WORD, "bytes": [1] * 99}]},
                        }
                    ]
                }
            ).encode()
        ),
        63,
    ),
    Row(
        "redacted thinking and signatures",
        "docs.claude.com",
        message_stream(
            event(
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "redacted_thinking", "data": CIPHER},
                }
            ),
            block(type="signature_delta", signature=CIPHER),
            block(type="text_delta", text=WORD),
            block(type="citations_delta", citation={"cited_text": WORD, "document_title": WORD}),
        ),
        PROMPTS[MESSAGES] + 50,
        path=MESSAGES,
    ),
    Row(
        "results of a tool of the provider",
        "docs.claude.com",
        script.raw(json.dumps(RESULTS).encode()),
        PROMPTS[MESSAGES] + 50,
        path=MESSAGES,
    ),
    Row(
        "encrypted content and images",
        "platform.openai.com",
        response_of(
            {"type": "reasoning", "encrypted_content": CIPHER, "summary": []},
            {"type": "image_generation_call", "result": BODY},
            {"type": "compaction", "encrypted_content": CIPHER},
            {
                "type": "message",
                "content": [{"type": "output_text", "text": WORD, "annotations": [{"url": WORD}]}],
            },
        ),
        PROMPTS[RESPONSES] + 50,
        path=RESPONSES,
    ),
    Row(
        "events of audio and images",
        "platform.openai.com",
        script.events(
            event({"type": "response.created", "response": {"status": "in_progress"}}),
            event({"type": "response.audio.delta", "delta": BODY}),
            event(
                {
                    "type": "response.image_generation_call.partial_image",
                    "partial_image_b64": BODY,
                }
            ),
            event({"type": "response.encrypted_reasoning.delta", "delta": CIPHER}),
            scripted_routes.response_piece(WORD),
            event({"type": "response.completed", "response": {"status": "completed"}}),
        ),
        PROMPTS[RESPONSES] + 50,
        path=RESPONSES,
    ),
]
THOUGHT = "t" * 42
TWICE = [
    Row(
        "OpenRouter's reasoning, cut",
        "wild.md",
        script.events(
            *[
                delta(
                    reasoning=THOUGHT,
                    reasoning_details=[
                        {"type": "reasoning.text", "text": THOUGHT, "format": "anthropic-claude-v1"}
                    ],
                )
            ]
            * 20,
            cut=True,
        ),
        PROMPT + 1050,
        status="failed",
    ),
    Row(
        "two names and details",
        "own",
        message_of(
            reasoning=THOUGHT,
            reasoning_content=THOUGHT,
            reasoning_details=[{"type": "reasoning.text", "text": THOUGHT, "signature": CIPHER}],
            thinking_blocks=[{"type": "thinking", "thinking": THOUGHT, "signature": CIPHER}],
        ),
        PROMPT + 5 * 21,
    ),
    Row(
        "a summary",
        "openrouter.ai",
        message_of(
            reasoning=THOUGHT,
            reasoning_details=[{"type": "reasoning.summary", "summary": THOUGHT}],
        ),
        PROMPT + 5 * 21,
    ),
    Row(
        "content as text and as parts",
        "own",
        message_of(content_blocks=[{"type": "text", "text": WORD}], parts=[{"text": WORD}]),
        63,
    ),
    Row(
        "Mistral's thinking and its alias",
        "docs.mistral.ai",
        message_of(
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": WORD},
            ],
            reasoning_content=THOUGHT,
        ),
        PROMPT + 5 * 21,
    ),
    Row(
        "Mistral's thinking alone",
        "docs.mistral.ai",
        message_of(
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": WORD},
            ],
        ),
        PROMPT + 5 * 21,
    ),
    Row(
        "a transcript",
        "own",
        message_of(audio={"data": BODY, "transcript": WORD}),
        63,
    ),
    Row(
        "text beside the delta",
        "docs.together.ai",
        whole(
            event({"choices": [{"index": 0, "text": WORD, "delta": {"content": WORD}}]}),
            usage=None,
        ),
        63,
    ),
    Row(
        "the whole message at the end",
        "platform.minimaxi.com",
        script.events(
            delta(WORD),
            delta(WORD),
            event(
                {
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "delta": {"content": ""},
                            "message": {"role": "assistant", "content": WORD * 2},
                        }
                    ]
                }
            ),
            DONE,
        ),
        113,
    ),
    Row(
        "a call under both names",
        "own",
        message_of(
            content=None,
            function_call={"name": "x" * 20, "arguments": "y" * 20},
            tool_calls=[{"function": {"name": "x" * 20, "arguments": "y" * 20}}],
        ),
        63,
    ),
    Row(
        "arguments as an object",
        "ollama",
        message_of(
            content=None,
            tool_calls=[{"function": {"name": "x" * 20, "arguments": {"a": "y" * 12}}}],
        ),
        63,
    ),
    Row(
        "pieces, whole texts, parts, items and the response",
        "platform.openai.com",
        script.events(
            *scripted_routes.response_pieces(WORD, WORD, usage=None)[:-2],
            event({"type": "response.output_text.done", "text": WORD * 2}),
            *scripted_routes.response_pieces(WORD, WORD, usage=None)[-2:],
        ),
        PROMPTS[RESPONSES] + 100,
        path=RESPONSES,
    ),
    Row(
        "whole texts alone",
        "own",
        script.events(
            scripted_routes.response_pieces()[0],
            event({"type": "response.output_text.done", "text": WORD}),
            event({"type": "response.function_call_arguments.done", "arguments": WORD}),
            event({"type": "response.completed", "response": {"status": "completed"}}),
        ),
        PROMPTS[RESPONSES] + 100,
        path=RESPONSES,
    ),
]
NO_TEXT = [replace(row, source="estimated") for row in NO_TEXT]
TWICE = [replace(row, source="estimated") for row in TWICE]


@pytest.mark.parametrize("row", MEDIA, ids=str)
def test_media_pass_whole(row: Row, ask: Ask, payer: User, upstream: Upstream) -> None:
    body, _receipt = run(row, ask, payer, upstream)
    assert len(body) > 30_000
    assert b'"length"' not in body


@pytest.mark.parametrize("row", NO_TEXT, ids=str)
def test_text_that_is_no_text_costs_nothing(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    run(row, ask, payer, upstream)


@pytest.mark.parametrize("row", TWICE, ids=str)
def test_the_same_text_said_twice_counts_once(
    row: Row, ask: Ask, payer: User, upstream: Upstream
) -> None:
    run(row, ask, payer, upstream)


def test_an_image_alone_costs_its_prompt_at_least(
    ask: Ask, payer: User, upstream: Upstream
) -> None:
    image = message_of(content=None, images=[{"image_url": {"url": IMAGE}}])
    run(Row("", "own", image, PROMPT, "estimated"), ask, payer, upstream)


SIGNS = [delta(sign) for sign in "abcd" * 100]
PIECES = [
    Row("400 signs", "wild.md", whole(*SIGNS, usage=(20, 100)), 520),
    Row("20 bytes a token", "own", whole(*SIGNS * 5, usage=(20, 100)), 520),
    Row("signs of four bytes", "own", whole(*[delta("\U0001f600")] * 100, usage=(20, 100)), 520),
    Row(
        "the arguments of a tool, sign by sign",
        "own",
        whole(
            *[delta(tool_calls=[{"index": 0, "function": {"arguments": "x"}}])] * 400,
            usage=(20, 100),
        ),
        520,
    ),
    Row("words of 60 bytes", "own", whole(*[delta("w" * 60)] * 100, usage=(20, 100)), 520),
    Row("chunks without text", "own", whole(*[delta("")] * 5000, *SIGNS, usage=(20, 100)), 520),
    Row(
        "text",
        "own",
        script.events(*scripted_routes.text_pieces(*"abcd" * 100, usage=(20, 100))),
        520,
        path=TEXT,
    ),
    Row(
        "messages",
        "own",
        script.events(*scripted_routes.message_pieces(*"abcd" * 100, usage=(20, 100))),
        520,
        path=MESSAGES,
    ),
    Row(
        "responses",
        "own",
        script.events(*scripted_routes.response_pieces(*"abcd" * 100, usage=(20, 100))),
        520,
        path=RESPONSES,
        body={"max_output_tokens": 100},
    ),
]
PIECES = [replace(row, body=row.body or {"max_tokens": 100}) for row in PIECES]


@pytest.mark.parametrize("row", PIECES, ids=str)
def test_a_piece_is_no_token(row: Row, ask: Ask, payer: User, upstream: Upstream) -> None:
    body, receipt = run(row, ask, payer, upstream)
    assert (receipt.completion_tokens, b'"length"' in body) == (100, False)


LIMIT = {"max_tokens": 10}
TOO_LONG = {
    "text": [delta("word " * 20)] * 20,
    "signs": [delta("x")] * 2000,
    "reasoning": [delta(reasoning_content="word " * 20)] * 20,
    "a tool": [delta(tool_calls=[{"function": {"arguments": "word " * 20}}])] * 20,
    "nothing": [delta("")] * 11_000,
    "what is no object": [b"data: 1\n\n"] * 11_000,
}


@pytest.mark.parametrize("pieces", TOO_LONG.values(), ids=TOO_LONG.keys())
def test_an_answer_that_cannot_be_within_its_limit_ends(
    pieces: list[bytes], ask: Ask, payer: User, upstream: Upstream
) -> None:
    upstream.script = script.until_hung_up(*pieces)
    body = b"".join(ask(stream=True, **LIMIT).streaming_content)
    assert b'"finish_reason":"length"' in body
    receipt = settled(payer)
    assert receipt.charged <= receipt.held
    assert receipt.completion_tokens <= 10
