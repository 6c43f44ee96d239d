"""Whole answers of many providers, each with its charge.

A prompt token costs 1 credit, a cached one 0.1, a written one 1.25, a token of the answer 5.
"""

import json
from dataclasses import dataclass, field
from typing import Any

PRICES = {
    "prompt_price": 1000,
    "cached_prompt_price": 100,
    "cache_write_price": 1250,
    "completion_price": 5000,
}
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
EMBEDDINGS, RESPONSES, MESSAGES = "/v1/embeddings", "/v1/responses", "/v1/messages"
PROMPT = "prompt " * 20
PROMPT_BYTES = len(PROMPT)
ASKED = [{"role": "user", "content": PROMPT}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": ASKED},
    TEXT: {"prompt": PROMPT, "max_tokens": 4096},
    EMBEDDINGS: {"input": PROMPT},
    RESPONSES: {"input": PROMPT},
    MESSAGES: {"messages": ASKED, "max_tokens": 4096},
}
DONE = b"data: [DONE]\n\n"
IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 900


@dataclass(frozen=True)
class Answer:
    """One whole answer: the events of a stream, or one JSON body.

    `texts` are what the caller has to get. The events `first` and `last` begin and end the answer:
    so many at each side stay where they are.
    """

    name: str
    path: str
    pieces: list[bytes]
    charged: int
    texts: list[bytes] = field(default_factory=list)
    is_stream: bool = True
    first: int = 0
    last: int = 1


def event(body: Any, name: str = "") -> bytes:
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(body)}\n\n".encode()


def chunk(content: str = "", **members: Any) -> bytes:
    delta = {"content": content, **members} if content else members
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return event({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})


def last(usage: Any = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    with_usage = {} if usage is None else {"usage": usage}
    return event({"id": "1", "choices": [choice], **with_usage, **members})


def counts(prompt: int, completion: int, total: int = 0, **more: Any) -> dict[str, Any]:
    sums = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**sums, "total_tokens": total or prompt + completion, **more}


WORDS = ["The quick ", "brown fox ", "jumps over ", "the lazy dog."]


def streamed(name: str, charged: int, *end: bytes, **members: Any) -> Answer:
    pieces = [chunk(role="assistant"), *map(chunk, WORDS), *end, DONE]
    if members:
        pieces.insert(1, chunk(**members))
    return Answer(name, CHAT, pieces, charged, [word.encode() for word in WORDS])


def whole(name: str, charged: int, path: str, text: str, **members: Any) -> Answer:
    body = json.dumps({"id": "1", **members}).encode()
    return Answer(name, path, [body], charged, [text.encode()] if text else [], is_stream=False)


def _closing(usage: Any, **members: Any) -> bytes:
    return event({"id": "1", "choices": [], "usage": usage, **members})


def _message(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


def _running(number: int, word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    return event({"id": "1", "choices": [choice], "usage": counts(20, number)})


def _block(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    kind = "content_block_delta"
    return event({"type": kind, "index": 0, "delta": delta}, kind)


def _response(status: str, usage: Any, text: str = "") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    items = [{"type": "message", "role": "assistant", "content": [part]}] if text else []
    return {"id": "resp_1", "object": "response", "status": status, "output": items, "usage": usage}


def _piece_of_response(text: str) -> bytes:
    kind = "response.output_text.delta"
    return event({"type": kind, "item_id": "msg_1", "delta": text}, kind)


def _lifecycle(kind: str, response: Any) -> bytes:
    return event({"type": f"response.{kind}", "response": response}, f"response.{kind}")


MESSAGE_USAGE = {
    "input_tokens": 40,
    "cache_creation_input_tokens": 60,
    "cache_read_input_tokens": 900,
    "output_tokens": 1,
}
STARTED: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "stop_reason": None,
    "usage": MESSAGE_USAGE,
}
RESPONSE_USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 960},
    "output_tokens": 20,
    "total_tokens": 1020,
}
ANSWERS = [
    streamed("openai", 120, last(), _closing(counts(20, 20))),
    streamed("deepseek", 40 + 96 + 100, last(counts(1000, 20, prompt_cache_hit_tokens=960))),
    streamed("gemini", 20 + 603 * 5, last(), _closing(counts(20, 198, 623))),
    streamed("groq", 120, last(x_groq={"usage": counts(20, 20)})),
    streamed(
        "moonshot",
        40 + 96 + 100,
        event(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": counts(1000, 20, cached_tokens=960),
                    }
                ]
            }
        ),
    ),
    streamed(
        "llama.cpp",
        40 + 96 + 100,
        last(timings={"cache_n": 960, "prompt_n": 40, "predicted_n": 20}),
    ),
    streamed(
        "openrouter",
        20 + 500,
        last(),
        _closing(counts(20, 100, cost=0.1, is_byok=False)),
        reasoning="t" * 99,
        reasoning_details=[
            {"type": "reasoning.text", "text": "t" * 99},
            {"type": "reasoning.encrypted", "data": "c" * 9000},
        ],
    ),
    streamed(
        "an image",
        20 + 6500,
        last(counts(20, 1300)),
        images=[{"type": "image_url", "image_url": {"url": IMAGE}}],
    ),
    streamed("an image in the content", 120, chunk(f"![]({IMAGE})"), last(counts(20, 20))),
    Answer(
        "running",
        CHAT,
        [*(_running(5 * n + 5, word) for n, word in enumerate(WORDS)), last(counts(20, 20)), DONE],
        120,
        [word.encode() for word in WORDS],
    ),
    whole("openai json", 45, CHAT, "Hello", **_message("Hello"), usage=counts(20, 5)),
    whole(
        "bedrock json",
        40 + 75 + 90 + 25,
        CHAT,
        "Hello",
        **_message("Hello"),
        usage={
            "inputTokens": 40,
            "outputTokens": 5,
            "totalTokens": 1005,
            "cacheReadInputTokens": 900,
            "cacheWriteInputTokens": 60,
        },
    ),
    Answer(
        "text",
        TEXT,
        [
            *(event({"id": "1", "choices": [{"index": 0, "text": word}]}) for word in WORDS),
            event({"id": "1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}),
            _closing(counts(20, 20)),
            DONE,
        ],
        120,
        [word.encode() for word in WORDS],
    ),
    whole(
        "voyage",
        20,
        EMBEDDINGS,
        "0.125",
        data=[{"embedding": [0.125]}],
        usage={"total_tokens": 20},
    ),
    Answer(
        "messages",
        MESSAGES,
        [
            event({"type": "message_start", "message": STARTED}, "message_start"),
            event({"type": "ping"}, "ping"),
            *map(_block, WORDS),
            event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
            event(
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 20},
                },
                "message_delta",
            ),
            event({"type": "message_stop"}, "message_stop"),
        ],
        40 + 75 + 90 + 100,
        [word.encode() for word in WORDS],
        first=1,
        last=2,
    ),
    whole(
        "messages json",
        40 + 75 + 90 + 25,
        MESSAGES,
        "Hello",
        **STARTED
        | {
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
            "usage": MESSAGE_USAGE | {"output_tokens": 5},
        },
    ),
    Answer(
        "responses",
        RESPONSES,
        [
            _lifecycle("created", _response("in_progress", None)),
            *map(_piece_of_response, WORDS),
            _lifecycle("completed", _response("completed", RESPONSE_USAGE, "".join(WORDS))),
        ],
        40 + 96 + 100,
        [word.encode() for word in WORDS],
        first=1,
    ),
    whole(
        "responses json",
        40 + 96 + 100,
        RESPONSES,
        "Hello",
        **_response("completed", RESPONSE_USAGE, "Hello"),
    ),
]
