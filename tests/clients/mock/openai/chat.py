"""`/v1/chat/completions`.

Source: OpenAI API reference, "Create chat completion" and "Streaming".
"""

from collections.abc import Iterator
from typing import Any

from tests.clients.mock import task
from tests.clients.mock.conversation import (
    Call,
    Conversation,
    Said,
    Tool,
    read_text,
    write_arguments,
)
from tests.clients.mock.exchange import Answer, Asked, Memory
from tests.clients.mock.models import CREATED
from tests.clients.mock.openai import chat_rules
from tests.clients.mock.pieces import cut
from tests.clients.mock.usage import THOUGHT_TOKENS, Usage, count_said, count_tokens

Body = dict[str, Any]


def answer(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    model = chat_rules.check(body)
    said = task.decide(read_conversation(body))
    usage = _count(memory, body, said, reasons=model.reasons)
    said, finish = _limit(said, body)
    head = {"id": task.make_id("chatcmpl"), "created": CREATED, "model": body["model"]}
    if body.get("stream"):
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = _stream(head, said, finish, usage, wants_usage=wants_usage, n=body.get("n") or 1)
        return Answer(events=events, usage=usage, id=head["id"])
    choices = [
        {"index": index, "message": _message(said), "logprobs": None, "finish_reason": finish}
        for index in range(body.get("n") or 1)
    ]
    whole = {**head, "object": "chat.completion", "choices": choices, "usage": describe(usage)}
    return Answer({**whole, "service_tier": "default"}, usage=usage, id=head["id"])


def read_conversation(body: Body) -> Conversation:
    conversation = Conversation(body["model"], limit=_read_limit(body))
    for tool in body.get("tools") or ():
        inner = tool[tool["type"]]
        conversation.tools.append(Tool(inner["name"], inner.get("parameters") or {}, tool["type"]))
    for message in body["messages"]:
        text = read_text(message.get("content"))
        if message["role"] == "user":
            conversation.begin_turn()
        if message["role"] in ("user", "system", "developer"):
            conversation.texts.append(text)
        elif message["role"] in ("tool", "function"):
            conversation.results.append(text)
    choice = body.get("tool_choice") or "auto"
    conversation.choice = choice if isinstance(choice, str) else choice["function"]["name"]
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_schema":
        conversation.schema = body["response_format"]["json_schema"].get("schema") or {}
    elif kind == "json_object":
        conversation.schema = {}
    return conversation


def _read_limit(body: Body) -> int | None:
    return body.get("max_completion_tokens") or body.get("max_tokens")


def _count(memory: Memory, body: Body, said: Said, *, reasons: bool) -> Usage:
    prompt = count_tokens([body["messages"], body.get("tools"), body.get("response_format")])
    key = f"{body['model']} {body['messages'][0]}"
    reasoning = THOUGHT_TOKENS if reasons and body.get("reasoning_effort") != "none" else 0
    completion = count_said(said) * (body.get("n") or 1) + reasoning
    limit = _read_limit(body)
    return Usage(
        prompt,
        min(completion, limit) if limit else completion,
        cached=memory.cache.look_up(key, prompt),
        reasoning=min(reasoning, limit) if limit else reasoning,
    )


def _limit(said: Said, body: Body) -> tuple[Said, str]:
    """Return what fits into the limit of the answer, and the finish reason."""
    limit = _read_limit(body)
    if limit and count_said(said) > limit:
        return Said(said.text[: limit * 4]), "length"
    return said, "tool_calls" if said.calls else "stop"


def describe(usage: Usage) -> Body:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _message(said: Said) -> Body:
    message: Body = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.calls:
        message["tool_calls"] = [_write_call(call) for call in said.calls]
    return {**message, "annotations": []}


def _write_call(call: Call) -> Body:
    kind, name = call.tool.kind, call.tool.name
    inner = {"name": name, "input" if kind == "custom" else "arguments": write_arguments(call)}
    return {"id": call.id, "type": kind, kind: inner}


def _stream(
    head: Body, said: Said, finish: str, usage: Usage, *, wants_usage: bool, n: int
) -> Iterator[tuple[str, Any]]:
    common = {**head, "object": "chat.completion.chunk", "service_tier": "default"}
    empty: Body = {"usage": None} if wants_usage else {}

    def chunk(delta: Body, index: int, finish: str | None = None) -> tuple[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return "", {**common, "choices": [choice], **empty, "obfuscation": "x7Gk2"}

    for index in range(n):
        yield chunk({"role": "assistant", "content": "", "refusal": None}, index)
        for piece in cut(said.text):
            yield chunk({"content": piece}, index)
        for number, call in enumerate(said.calls):
            for delta in _stream_call(number, call):
                yield chunk({"tool_calls": [delta]}, index)
        yield chunk({}, index, finish)
    if wants_usage:
        yield "", {**common, "choices": [], "usage": describe(usage), "obfuscation": "a1"}
    yield "", "[DONE]"


def _stream_call(number: int, call: Call) -> Iterator[Body]:
    kind = call.tool.kind
    member = "input" if kind == "custom" else "arguments"
    first = {kind: {"name": call.tool.name, member: ""}}
    yield {"index": number, "id": call.id, "type": kind, **first}
    for piece in cut(write_arguments(call)):
        yield {"index": number, kind: {member: piece}}
