"""`/v1/messages` and `/v1/messages/count_tokens`.

Source: Anthropic API reference, "Messages", "Streaming messages" and "Count message tokens".
"""

from typing import Any

from tests.clients.mock import task
from tests.clients.mock.anthropic import events, rules, signatures
from tests.clients.mock.conversation import Conversation, Said, Tool, read_text
from tests.clients.mock.exchange import Answer, Asked, Memory
from tests.clients.mock.usage import CACHED_FROM, THOUGHT_TOKENS, Usage, count_said, count_tokens

Body = dict[str, Any]


def answer(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    rules.check(body, asked.headers)
    said = task.decide(read_conversation(body))
    usage = _count(memory, body, said)
    said, stop = _limit(said, body)
    hides_thoughts = (body.get("thinking") or {}).get("display") == "omitted"
    message = {
        "id": task.make_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": _write_blocks(said, hides_thoughts=hides_thoughts),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": describe(usage),
    }
    if body.get("context_management"):
        message["context_management"] = {"applied_edits": []}
    headers = {"request-id": task.make_id("req")}
    if body.get("stream"):
        written = events.write(message)
        return Answer(events=written, usage=usage, id=message["id"], headers=headers)
    return Answer(message, usage=usage, id=message["id"], headers=headers)


def count(memory: Memory, asked: Asked) -> Answer:
    rules.check_count(asked.body, asked.headers)
    return Answer({"input_tokens": _count_prompt(asked.body)})


def read_conversation(body: Body) -> Conversation:
    thinking = (body.get("thinking") or {}).get("type")
    conversation = Conversation(body["model"], thinks=thinking in ("enabled", "adaptive"))
    conversation.limit = body.get("max_tokens")
    for tool in body.get("tools") or ():
        if tool.get("type", "custom") == "custom":
            conversation.tools.append(Tool(tool["name"], tool["input_schema"]))
    conversation.texts.append(read_text(body.get("system")))
    for message in body["messages"]:
        _read_message(message, conversation)
    choice = body.get("tool_choice") or {"type": "auto"}
    conversation.choice = {"any": "required"}.get(
        choice["type"], choice.get("name", choice["type"])
    )
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        conversation.schema = form.get("schema") or {}
    return conversation


def _read_message(message: Body, conversation: Conversation) -> None:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] != "user":
        return
    if not any(block["type"] == "tool_result" for block in blocks):
        conversation.begin_turn()
    for block in blocks:
        if block["type"] == "tool_result":
            conversation.results.append(read_text(block.get("content")))
        elif block["type"] == "text":
            conversation.texts.append(block["text"])


def _count_prompt(body: Body) -> int:
    return count_tokens([body.get("system"), body["messages"], body.get("tools")])


def _count(memory: Memory, body: Body, said: Said) -> Usage:
    prompt = _count_prompt(body)
    thought = THOUGHT_TOKENS if said.thoughts else 0
    completion = min(count_said(said) + thought, body["max_tokens"])
    reasoning = min(thought, completion)
    if not rules.caches(body) or prompt < CACHED_FROM:
        return Usage(prompt, completion, reasoning=reasoning)
    key = f"{body['model']} {count_tokens(body.get('system') or '')} {body['messages'][0]}"
    cached = memory.cache.look_up(key, prompt)
    written = prompt - cached
    return Usage(prompt, completion, cached=cached, written=written, reasoning=reasoning)


def describe(usage: Usage) -> Body:
    return {
        "input_tokens": usage.prompt - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }


def _limit(said: Said, body: Body) -> tuple[Said, str]:
    limit = body["max_tokens"]
    if count_said(said) > limit:
        return Said(said.text[: limit * 4]), "max_tokens"
    return said, "tool_use" if said.calls else "end_turn"


def _write_blocks(said: Said, *, hides_thoughts: bool) -> list[Body]:
    blocks: list[Body] = []
    if said.thoughts:
        shown = "" if hides_thoughts else said.thoughts
        blocks.append({"type": "thinking", "thinking": shown, "signature": signatures.sign(shown)})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for call in said.calls:
        name, arguments = call.tool.name, call.arguments
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{call.id[5:]}", "name": name, "input": arguments}
        )
    return blocks
