"""`/v1/responses`, `/v1/responses/compact` and `/v1/responses/input_tokens`.

Source: OpenAI API reference, "Create a model response", "Compact a response" and "Streaming
events".
"""

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
from tests.clients.mock.openai import response_events, response_items, response_rules
from tests.clients.mock.usage import THOUGHT_TOKENS, Usage, count_said, count_tokens

Body = dict[str, Any]
# What an answer repeats of its request, and what stands there if the request does not say it.
REPEATED: Body = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def answer(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    model = response_rules.check(body, memory.stored)
    body = {**body, "input": response_items.look_up(list_items(body), memory.stored)}
    said = task.decide(read_conversation(body, thinks=model.reasons))
    usage = _count(memory, body, said, reasons=model.reasons)
    response = _begin(body)
    output = _write_output(said, body)
    if body.get("store") is not False:
        memory.stored.update({item["id"]: item for item in output})
    if body.get("max_output_tokens") and usage.completion >= body["max_output_tokens"]:
        reason = {"reason": "max_output_tokens"}
        end: Body = {"status": "incomplete", "incomplete_details": reason}
    else:
        end = {"status": "completed", "completed_at": CREATED + 1}
    whole = {**response, **end, "output": output, "usage": describe(usage)}
    if body.get("stream"):
        written = response_events.write(response, whole)
        return Answer(events=written, usage=usage, id=response["id"])
    return Answer(whole, usage=usage, id=response["id"])


def compact(memory: Memory, asked: Asked) -> Answer:
    body = asked.body
    response_rules.check_compaction(body, memory.stored)
    users = [item for item in list_items(body) if item.get("role") == "user"]
    item = {
        "type": "compaction",
        "id": task.make_id("cmp"),
        "encrypted_content": response_rules.SEAL,
    }
    usage = Usage(count_tokens([body.get("input"), body.get("instructions")]), 40)
    whole: Body = {
        "id": task.make_id("resp"),
        "object": "response.compaction",
        "created_at": CREATED,
        "output": [*(_keep(item) for item in users), item],
        "usage": describe(usage),
    }
    return Answer(whole, usage=usage, id=whole["id"])


def _keep(item: Body) -> Body:
    content = item["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {
        "id": task.make_id("msg"),
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": parts,
    }


def count(memory: Memory, asked: Asked) -> Answer:
    response_rules.check_count(asked.body)
    return Answer({"object": "response.input_tokens", "input_tokens": _count_prompt(asked.body)})


def list_items(body: Body) -> list[Body]:
    """Return the items of the input; a text is a message of the user."""
    said = body.get("input")
    return [{"role": "user", "content": said}] if isinstance(said, str) else said or []


def read_conversation(body: Body, *, thinks: bool) -> Conversation:
    conversation = Conversation(body["model"], thinks=thinks, limit=body.get("max_output_tokens"))
    conversation.tools = list_tools(body.get("tools") or [])
    if body.get("instructions"):
        conversation.texts.append(body["instructions"])
    for item in list_items(body):
        _read_item(item, conversation)
    choice = body.get("tool_choice") or "auto"
    conversation.choice = choice if isinstance(choice, str) else choice.get("name", "auto")
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") in ("json_schema", "json_object"):
        conversation.schema = form.get("schema") or {}
    return conversation


def _read_item(item: Body, conversation: Conversation) -> None:
    kind, role = item.get("type", "message"), item.get("role")
    if kind == "additional_tools":
        conversation.tools += list_tools(item["tools"])
    elif kind == "message" and role in ("user", "system", "developer"):
        if role == "user":
            conversation.begin_turn()
        conversation.texts.append(read_text(item.get("content")))
    elif kind.endswith("_output"):
        conversation.results.append(read_text(item.get("output")))


def list_tools(tools: list[Body], namespace: str = "") -> list[Tool]:
    """Return the tools that the caller runs, those in a namespace too."""
    found: list[Tool] = []
    for tool in tools:
        kind = tool.get("type")
        if kind == "namespace":
            found += list_tools(tool["tools"], tool["name"])
        elif kind in ("function", "custom"):
            found.append(Tool(tool["name"], tool.get("parameters") or {}, kind, namespace))
    return found


def _count_prompt(body: Body) -> int:
    return count_tokens([body.get("instructions"), body.get("input"), body.get("tools")])


def _count(memory: Memory, body: Body, said: Said, *, reasons: bool) -> Usage:
    prompt = _count_prompt(body)
    key = body.get("prompt_cache_key") or f"{body['model']} {body.get('instructions')}"
    effort = (body.get("reasoning") or {}).get("effort")
    reasoning = THOUGHT_TOKENS if reasons and effort != "none" else 0
    completion = count_said(said) + reasoning
    limit = body.get("max_output_tokens")
    return Usage(
        prompt,
        min(completion, limit) if limit else completion,
        cached=memory.cache.look_up(key, prompt),
        reasoning=min(reasoning, limit) if limit else reasoning,
    )


def describe(usage: Usage) -> Body:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _begin(body: Body) -> Body:
    """Return the response as it is when the model begins."""
    repeated = {name: body.get(name, value) for name, value in REPEATED.items()}
    reasoning = {"effort": "medium", "summary": None, **(body.get("reasoning") or {})}
    text = {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})}
    return {
        **repeated,
        "id": task.make_id("resp"),
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": body["model"],
        "output": [],
        "reasoning": reasoning,
        "service_tier": "default",
        "text": text,
        "usage": None,
    }


def _write_output(said: Said, body: Body) -> list[Body]:
    output = []
    if said.thoughts:
        item: Body = {"id": task.make_id("rs"), "type": "reasoning", "summary": []}
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            item["encrypted_content"] = response_rules.SEAL
        if (body.get("reasoning") or {}).get("summary"):
            item["summary"] = [{"type": "summary_text", "text": said.thoughts}]
        output.append(item)
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        output.append(
            {
                "id": task.make_id("msg"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    return [*output, *map(_write_call, said.calls)]


def _write_call(call: Call) -> Body:
    is_custom = call.tool.kind == "custom"
    namespace = {"namespace": call.tool.namespace} if call.tool.namespace else {}
    return {
        "id": task.make_id("ctc" if is_custom else "fc"),
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.tool.name,
        **namespace,
        "input" if is_custom else "arguments": write_arguments(call),
    }
