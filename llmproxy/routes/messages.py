"""`/v1/messages`: Anthropic's Messages API.

Source: Anthropic API reference, "Messages", "Streaming messages", "Errors" and "Beta headers".
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest
from llmproxy.metering.route_meters import MessagesMeter
from llmproxy.models import Endpoint
from llmproxy.routes import message_blocks, request_body
from llmproxy.routes.base import Receipt, Route, Stream, bill, event
from llmproxy.routes.request_body import LEAST_THINKING, MAX_TOKENS, Asked, Body
from llmproxy.upstream.event_stream import Event

# Not among them: `speed`, `inference_geo` and `service_tier`, which cost more than the model's price.
FORWARDED = frozenset(
    """
    cache_control max_tokens messages metadata model output_config stop_sequences stream system temperature thinking
    tool_choice tools top_k top_p
    """.split()  # noqa: SIM905
)
RUN_BY_ANTHROPIC = ("container", "mcp_servers", "context_management")
# Anthropic describes these to the model in so many tokens that the request does not show.
CALLERS_TOOL = re.compile(r"(bash|text_editor|computer|memory)_\d{8}\Z")
TOOL_TOKENS = 1500
VERSION = "2023-06-01"
HEADER = re.compile(r"[\x21-\x7e ]{1,1000}\Z")
# Those that change the form of an answer, not its price; the parameters of others are not passed on anyway.
BETAS = re.compile(
    r"(claude-code|computer-use|effort|fine-grained-tool-streaming|interleaved-thinking|output-128k|pdfs"
    r"|prompt-caching|structured-outputs|token-efficient-tools)-[\w-]+\Z",
    re.ASCII,
)


class Messages(Route):
    endpoint = Endpoint.MESSAGES
    meter = MessagesMeter

    def passed_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        version = headers.get("anthropic-version", "")
        betas = [
            beta
            for beta in re.split(r"[,\s]+", headers.get("anthropic-beta", ""))
            if BETAS.match(beta)
        ]
        return {
            "anthropic-version": version if HEADER.match(version) else VERSION,
            **({"anthropic-beta": ",".join(betas)} if betas else {}),
        }

    def parse(self, raw: bytes, *, stream: bool | None = None) -> Asked:
        body = request_body.parsed(raw)
        request_body.refuse(
            body,
            RUN_BY_ANTHROPIC,
            _("%(name)s is not offered here: what it costs cannot be metered."),
        )
        request_body.check_ranges(body, temperature=(0, 1), top_p=(0, 1))
        request_body.check_strings(body, "stop_sequences")
        request_body.check_tools(body, _is_callers_tool)
        request_body.check_cache(body, "")
        images = message_blocks.check(body)
        max_tokens = request_body.whole(body, "max_tokens", MAX_TOKENS)
        if max_tokens is None:
            raise InvalidRequest(
                _("%(name)s is missing.") % {"name": "max_tokens"}, param="max_tokens"
            )
        kept = request_body.only(body, FORWARDED - {"max_tokens"})
        kept["stream"] = (request_body.flag(body, "stream") or False) if stream is None else stream
        size = request_body.measured(
            body["messages"], body.get("system"), body.get("tools"), body.get("output_config")
        )
        described = [
            tool for tool in body.get("tools") or () if tool.get("type") not in (None, "custom")
        ]
        return Asked(
            body=kept,
            model=request_body.text(body, "model"),
            stream=kept["stream"],
            prompt_bytes=size - sum(map(len, images)),
            prompt_ids=TOOL_TOKENS * len(described),
            limit="max_tokens",
            max_tokens=max_tokens,
            images=len(images),
            thinking=_thinking(kept, max_tokens),
        )

    def is_answer(self, answer: Body) -> bool:
        return isinstance(answer.get("content"), list)

    def streamed(self, asked: Asked) -> Stream:
        return MessageEvents(asked)

    def refusal(self, refusal: Any) -> Body:
        gateway = refusal if isinstance(refusal, GatewayRefusal) else None
        extra = {"param": gateway.param, **gateway.extra} if gateway else {}
        return envelope(refusal.status, refusal.message, refusal.code, **extra)


MESSAGES = Messages()


def _thinking(body: Body, max_tokens: int) -> int:
    """The budget of thinking that is good as it was sent; of any other the provider says what is wrong.

    With interleaved thinking it may exceed `max_tokens`. Source: Anthropic, "Extended thinking".
    """
    thinking = request_body.record(body, "thinking") or {}
    budget = thinking.get("budget_tokens") if thinking.get("type") == "enabled" else None
    return budget if type(budget) is int and LEAST_THINKING <= budget < max_tokens else 0


def _is_callers_tool(kind: Any) -> bool:
    return kind in (None, "custom") or (isinstance(kind, str) and bool(CALLERS_TOOL.match(kind)))


TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def envelope(status: int, message: str, code: str, **extra: Any) -> Body:
    """Anthropic's form of an error, with our code and facts as further keys."""
    kind = TYPES.get(status, "invalid_request_error")
    known = {name: value for name, value in extra.items() if value is not None}
    return {"type": "error", "error": {"type": kind, "message": message, "code": code, **known}}


STOP = event(b'{"type":"message_stop"}', b"message_stop")


class MessageEvents(Stream):
    """Typed events. Clients stop reading at the last one, so the bill goes before it."""

    last = b""
    has_started = False
    open_block: int | None = None

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if kind == "message_stop":
            self.last = event.raw
            return None
        start = b""
        if not self.has_started and kind != "ping":
            # llama.cpp forgets to, where the first token is half a character; clients would read nothing.
            start, self.has_started = (b"" if kind == "message_start" else self._start()), True
        if kind in ("content_block_start", "content_block_stop"):
            self.open_block = chunk.get("index") if kind == "content_block_start" else None
        return start + event.raw

    def _start(self) -> bytes:
        message = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "content": [],
        }
        end = {
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event(
            {
                "type": "message_start",
                "message": {**message, "model": self.asked.body.get("model"), **end},
            }
        )

    def is_last(self, event: Event, chunk: Any) -> bool:
        return bool(self.last)

    def is_whole(self, meter: Any, *, done: bool) -> bool:
        return bool(meter.finish_reason)

    def limited(self, receipt: Receipt) -> bytes:
        stop = {"type": "content_block_stop", "index": self.open_block}
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"output_tokens": receipt.usage.completion_tokens},
        }
        return (b"" if self.open_block is None else _event(stop)) + _event(delta)

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        self.last = _event(MESSAGES.refusal(refusal))
        return b""

    def end(self, receipt: Receipt) -> bytes:
        return bill(receipt) + (self.last or STOP)


def _event(value: Body) -> bytes:
    return event(lenient_json.encode(value), str(value["type"]).encode())
