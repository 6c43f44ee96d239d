"""`/v1/completions` and `/v1/embeddings`.

Source: OpenAI API reference, "Create completion" and "Create embeddings".
"""

import base64
import struct
from collections.abc import Iterator
from typing import Any

from tests.clients.mock import task
from tests.clients.mock.exchange import Answer, Asked, Memory
from tests.clients.mock.models import CREATED
from tests.clients.mock.openai import text_rules
from tests.clients.mock.pieces import cut
from tests.clients.mock.usage import Usage, count_tokens

Body = dict[str, Any]
DIMENSIONS = 1536
TEXT = " This is the end of the text."


def complete(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    text_rules.check_completion(body)
    texts = _list_texts(body["prompt"])
    limit = body.get("max_tokens") or 16
    text = TEXT[: limit * 4]
    finish = "length" if len(text) < len(TEXT) else "stop"
    usage = Usage(sum(map(count_tokens, texts)), count_tokens(text) * len(texts))
    head = {
        "id": task.make_id("cmpl"),
        "object": "text_completion",
        "created": CREATED,
        "model": body["model"],
    }
    if body.get("stream"):
        events = _stream(head, text, finish, len(texts), usage, body)
        return Answer(events=events, usage=usage, id=head["id"])
    choices = [_choose(index, text, finish) for index in range(len(texts))]
    whole = {**head, "choices": choices, "usage": _describe(usage)}
    return Answer(whole, usage=usage, id=head["id"])


def _stream(
    head: Body, text: str, finish: str, count: int, usage: Usage, body: Body
) -> Iterator[tuple[str, Any]]:
    for index in range(count):
        for piece in cut(text):
            yield "", {**head, "choices": [_choose(index, piece, None)]}
        yield "", {**head, "choices": [_choose(index, "", finish)]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield "", {**head, "choices": [], "usage": _describe(usage)}
    yield "", "[DONE]"


def _choose(index: int, text: str, finish: str | None) -> Body:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _describe(usage: Usage) -> Body:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }


def embed(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    text_rules.check_embeddings(body)
    texts = _list_texts(body["input"])
    size = body.get("dimensions") or DIMENSIONS
    usage = Usage(sum(map(count_tokens, texts)), 0)
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(index, size, body)}
        for index in range(len(texts))
    ]
    counts = {"prompt_tokens": usage.prompt, "total_tokens": usage.total}
    whole = {"object": "list", "data": data, "model": body["model"], "usage": counts}
    return Answer(whole, usage=usage)


def _encode(index: int, size: int, body: Body) -> Any:
    vector = [((index + place) % 7 - 3) / 8 for place in range(size)]
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()


def _list_texts(value: Any) -> list[Any]:
    """Return the texts; a text is a string or a list of token ids."""
    if isinstance(value, str) or (value and isinstance(value[0], int)):
        return [value]
    return list(value)
