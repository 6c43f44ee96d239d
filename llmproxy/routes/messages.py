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
from llmproxy.metering.media import collect
from llmproxy.metering.route_meters import MessagesMeter
from llmproxy.models import Endpoint
from llmproxy.routes import kinds, message_blocks, parameters, request_body
from llmproxy.routes.base import MESSAGES as MESSAGES_DIALECT
from llmproxy.routes.base import Receipt, Route, Stream, encode_bill, encode_event
from llmproxy.routes.kinds import OBJECT, Content, Number, Strings, Tools
from llmproxy.routes.parameters import LIMIT, MODEL, STREAM, UNMETERED, Parameter, Parameters
from llmproxy.routes.request_body import LEAST_THINKING, Body, CompletionRequest
from llmproxy.upstream.event_stream import Event

# Anthropic describes each of these tools to the model in about TOOL_TOKENS tokens, which the
# request does not show.
CALLERS_TOOL = re.compile(r"(bash|text_editor|computer|memory)_\d{8}\Z")
TOOL_TOKENS = 1500
VERSION = "2023-06-01"
HEADER = re.compile(r"[\x21-\x7e ]{1,1000}\Z")
# Beta features that change the form of an answer, not its price. The parameters of other features
# are not forwarded anyway.
BETAS = re.compile(
    r"(claude-code|computer-use|effort|fine-grained-tool-streaming|interleaved-thinking"
    r"|output-128k|pdfs|prompt-caching|structured-outputs|token-efficient-tools)-[\w-]+\Z",
    re.ASCII,
)


def _is_callers_tool(kind: Any) -> bool:
    return kind in (None, "custom") or (isinstance(kind, str) and bool(CALLERS_TOOL.match(kind)))


# `speed`, `inference_geo` and `service_tier` are not forwarded: with them an answer costs more
# than the price of the model.
PARAMETERS = Parameters(
    # Anthropic itself would run these.
    *parameters.refuse(UNMETERED, "container", "mcp_servers", "context_management"),
    Parameter("temperature", Number(0, 1)),
    Parameter("top_p", Number(0, 1)),
    Parameter("stop_sequences", Strings()),
    Parameter("tools", Tools(_is_callers_tool)),
    Parameter(
        "messages",
        Content(kinds.describe_list(kinds.MESSAGE, message_blocks.MAX_MESSAGES)),
        is_required=True,
    ),
    Parameter("system", Content(kinds.CONTENT)),
    Parameter("max_tokens", LIMIT, is_forwarded=False, is_required=True),
    STREAM,
    MODEL,
    Parameter("thinking", OBJECT),
    *parameters.pass_on("cache_control metadata output_config tool_choice top_k"),
)


class Messages(Route):
    endpoint = Endpoint.MESSAGES
    member = "content"
    meter = MessagesMeter
    dialect = MESSAGES_DIALECT

    def passed_headers(self, sent: Mapping[str, str]) -> dict[str, str]:
        version = sent.get("anthropic-version", "")
        betas = [
            beta
            for beta in re.split(r"[,\s]+", sent.get("anthropic-beta", ""))
            if BETAS.match(beta)
        ]
        return {
            "anthropic-version": version if HEADER.match(version) else VERSION,
            **({"anthropic-beta": ",".join(betas)} if betas else {}),
        }

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        request_body.check_cache(body, "")
        media = collect(message_blocks.check(body))
        max_tokens = body.get("max_tokens")
        if max_tokens is None:
            raise InvalidRequest(
                _("%(name)s is missing.") % {"name": "max_tokens"}, param="max_tokens"
            )
        kept = PARAMETERS.select(body)
        kept["stream"] = request_body.is_streamed(body, stream)
        prompt = request_body.measure_prompt(
            media,
            body["messages"],
            body.get("system"),
            body.get("tools"),
            body.get("output_config"),
            *(body[name] for name in ("cache_control",) if name in body),
        )
        described_tools = [
            tool for tool in body.get("tools") or () if tool.get("type") not in (None, "custom")
        ]
        return CompletionRequest(
            body=kept,
            model=body.get("model"),
            stream=kept["stream"],
            prompt_bytes=prompt.size,
            prompt_ids=TOOL_TOKENS * len(described_tools),
            limit="max_tokens",
            max_tokens=max_tokens,
            media=media,
            writes_1h=prompt.writes_1h,
            thinking=_read_thinking_budget(kept, max_tokens),
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return MessageEvents(request)


MESSAGES = Messages()


def _read_thinking_budget(body: Body, max_tokens: int) -> int:
    """Return the thinking budget in tokens if it is valid; else 0, and the provider judges it.

    With interleaved thinking it may exceed `max_tokens`. Source: Anthropic, "Extended thinking".
    """
    thinking = body.get("thinking") or {}
    budget = thinking.get("budget_tokens") if thinking.get("type") == "enabled" else None
    return budget if type(budget) is int and LEAST_THINKING <= budget < max_tokens else 0


STOP = encode_event(b'{"type":"message_stop"}', b"message_stop")


class MessageEvents(Stream):
    """Typed events. Clients stop reading at the last one, so the bill is sent before it."""

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
            # llama.cpp sends no message_start if the first token is half a character. Clients
            # would then read nothing.
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
        return _encode_typed(
            {
                "type": "message_start",
                "message": {**message, "model": self.request.body.get("model"), **end},
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
        return (b"" if self.open_block is None else _encode_typed(stop)) + _encode_typed(delta)

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        self.last = _encode_typed(MESSAGES.refusal(refusal))
        return b""

    def end(self, receipt: Receipt) -> bytes:
        return encode_bill(receipt) + (self.last or STOP)


def _encode_typed(value: Body) -> bytes:
    return encode_event(lenient_json.encode(value), str(value["type"]).encode())
