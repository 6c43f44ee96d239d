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
from llmproxy.routes import message_blocks, request_body
from llmproxy.routes.base import MESSAGES as MESSAGES_DIALECT
from llmproxy.routes.base import Receipt, Route, Stream, encode_bill, encode_event
from llmproxy.routes.kinds import make_whole
from llmproxy.routes.request_body import LEAST_THINKING, Body, CompletionRequest
from llmproxy.routes.tables import betas, tools
from llmproxy.routes.tables.messages import PARAMETERS
from llmproxy.upstream.event_stream import Event

VERSION = "2023-06-01"
HEADER = re.compile(r"[\x21-\x7e ]{1,1000}\Z")


class Messages(Route):
    endpoint = Endpoint.MESSAGES
    member = "content"
    meter = MessagesMeter
    dialect = MESSAGES_DIALECT

    def passed_headers(
        self, sent: Mapping[str, str], request: CompletionRequest | None = None
    ) -> dict[str, str]:
        version = sent.get("anthropic-version", "")
        named = [
            headers.get(betas.HEADER, "") for headers in (sent, request.headers if request else {})
        ]
        forwarded, withheld = betas.sort(betas.split(*named))
        if request:
            request.dropped += [f"{betas.HEADER}: {name}" for name in withheld]
        return {
            "anthropic-version": version if HEADER.match(version) else VERSION,
            **({betas.HEADER: ",".join(forwarded)} if forwarded else {}),
        }

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        request_body.check_cache(body, "")
        dropped = tools.leave_out(body, tools.MESSAGES) if body.get("tools") else []
        if body.get("context_management"):
            dropped += _drop_edits(body)
        media = collect(message_blocks.check(body, dropped))
        max_tokens = body.get("max_tokens")
        if max_tokens is None:
            raise InvalidRequest(
                _("%(name)s is missing.") % {"name": "max_tokens"}, param="max_tokens"
            )
        selection = PARAMETERS.select(body)
        kept = selection.kept
        kept["stream"] = request_body.is_streamed(body, stream)
        prompt = request_body.measure_prompt(
            media,
            body["messages"],
            body.get("system"),
            body.get("tools"),
            body.get("output_config"),
            *(body[name] for name in ("cache_control",) if name in body),
        )
        return CompletionRequest(
            body=kept,
            model=body.get("model") or None,
            stream=kept["stream"],
            prompt_bytes=prompt.size,
            prompt_ids=tools.count_described_tokens(body.get("tools") or []),
            limit="max_tokens",
            max_tokens=max_tokens,
            media=media,
            writes_1h=prompt.writes_1h,
            thinking=_read_thinking_budget(kept, max_tokens),
            dropped=[*dropped, *selection.dropped],
            unknown=selection.unknown,
            headers=_read_betas(body),
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return MessageEvents(request)


MESSAGES = Messages()


def _read_betas(body: Body) -> dict[str, str]:
    """Return the header for the beta features in `betas`, as Anthropic's SDK names them."""
    named = body.get("betas") or []
    return {betas.HEADER: ",".join([named] if isinstance(named, str) else named)} if named else {}


def _drop_edits(body: Body) -> list[str]:
    """Remove the edits of `context_management` that do more than remove something.

    An edit that compacts makes Anthropic write a summary, which the limit of the answer does not
    include. Source: Anthropic, "Context editing". Returns the names of what was removed.
    """
    management = body["context_management"]
    edits = management.get("edits")
    if edits is not None and not (
        isinstance(edits, list) and all(isinstance(edit, dict) for edit in edits)
    ):
        raise InvalidRequest(
            _("%(name)s must be a list of objects.") % {"name": "context_management.edits"},
            param="context_management.edits",
        )
    kept = [edit for edit in edits or () if str(edit.get("type")).startswith("clear_")]
    dropped = [
        f"context_management ({edit.get('type')})" for edit in edits or () if edit not in kept
    ]
    dropped += [f"context_management.{name}" for name in management if name != "edits"]
    if kept or not dropped:
        body["context_management"] = {"edits": kept}
    else:
        del body["context_management"]
    return dropped


def _read_thinking_budget(body: Body, max_tokens: int) -> int:
    """Return the thinking budget in tokens if it is valid; else 0, and the provider judges it.

    With interleaved thinking it may exceed `max_tokens`. Source: Anthropic, "Extended thinking".
    """
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled" or "budget_tokens" not in thinking:
        return 0
    budget = thinking["budget_tokens"] = make_whole(thinking["budget_tokens"])
    return budget if type(budget) is int and LEAST_THINKING <= budget < max_tokens else 0


STOP = encode_event(b'{"type":"message_stop"}', b"message_stop")


class MessageEvents(Stream):
    """Typed events. Clients stop reading at the last one, so the bill is sent before it."""

    passes_pings = True
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
