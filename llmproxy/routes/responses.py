"""`/v1/responses`: OpenAI's Responses API, without the state that it stores between requests.

The provider would store that state in the operator's account: one caller could reach the state of
another, and the tokens of stored state have no known bound.

Source: OpenAI API reference, "Create a model response" and "Streaming events".
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest, UpstreamRejected
from llmproxy.metering.media import Content, collect
from llmproxy.metering.route_meters import ResponsesMeter
from llmproxy.models import Endpoint
from llmproxy.routes import media_parts, request_body
from llmproxy.routes.base import Receipt, Route, Stream, encode_bill, encode_event
from llmproxy.routes.parameters import UNMETERED
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.routes.tables import items, tools
from llmproxy.routes.tables.responses import LIMITS, MAX_ITEMS, PARAMETERS
from llmproxy.upstream.event_stream import Event

# Where items have parts that can be images or files.
PARTS_OF = {
    "message": "content",
    "function_call_output": "output",
    "custom_tool_call_output": "output",
}
PARTS = (
    "input_text",
    "output_text",
    "refusal",
    "summary_text",
    "reasoning_text",
    "text",
)
MEDIA_PARTS = ("input_image", "input_file", "input_audio")

ENCRYPTED = "reasoning.encrypted_content"
# OpenAI's models that reason. Others refuse to be asked for their encrypted thoughts.
REASONS = re.compile(r"(.*/)?(o[1-9](-|\Z)|gpt-([5-9]|[1-9]\d)(?!.*chat)|codex)", re.IGNORECASE)
LEAST_TOKENS = 16  # OpenAI refuses a smaller limit


@dataclass(slots=True)
class StatelessRequest(CompletionRequest):
    """A request for an answer of which the provider keeps nothing.

    Reasoning models are asked for their thoughts in encrypted form, because the caller has to send
    them back in the next request: the provider has not stored them.
    """

    wants_thoughts: bool = True

    @property
    def least_tokens(self) -> int:
        return LEAST_TOKENS

    def add_nothing(self) -> None:
        self.wants_thoughts = False
        CompletionRequest.add_nothing(self)

    def upstream_body(
        self,
        *,
        model: str,
        max_tokens: int,
        limit: str | None = None,
        left_out: Collection[str] = (),
    ) -> bytes:
        if self.wants_thoughts:
            own = self.added["include"]
            if self.body.get("reasoning") or REASONS.match(model):
                self.body["include"] = [*_list_included(own), ENCRYPTED]
            elif "include" in self.body:
                self.body["include"] = own
        return CompletionRequest.upstream_body(
            self, model=model, max_tokens=max_tokens, limit=limit, left_out=left_out
        )


def _list_included(include: Any) -> list[str]:
    """Return the values of `include`, which may be one text or null."""
    return [include] if isinstance(include, str) else include or []


class Responses(Route):
    endpoint = Endpoint.RESPONSES
    member = "output"
    meter = ResponsesMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        _check_reasoning(body)
        dropped = tools.leave_out(body, tools.RESPONSES) if body.get("tools") else []
        media = collect(_check_input(body, dropped))
        selection = PARAMETERS.select(body)
        kept = selection.kept
        kept["stream"] = request_body.is_streamed(body, stream)
        prompt = request_body.measure_prompt(
            media, body["input"], body.get("instructions"), body.get("tools"), body.get("text")
        )
        request = StatelessRequest(
            body=kept,
            model=body.get("model") or None,
            stream=kept["stream"],
            prompt_bytes=prompt.size,
            limit="max_output_tokens",
            max_tokens=request_body.read_limit(body, LIMITS),
            media=media,
            writes_1h=prompt.writes_1h,
            dropped=[*dropped, *selection.dropped],
            unknown=selection.unknown,
            wants_thoughts=ENCRYPTED not in _list_included(kept.get("include")),
        )
        request.add(store=False)
        if request.wants_thoughts:
            request.added["include"] = kept.get("include")  # it depends on the model, see above
        return request

    def streamed(self, request: CompletionRequest) -> Stream:
        return ResponseEvents(request)


RESPONSES = Responses()


def _check_reasoning(body: Body) -> None:
    """Refuse the mode `pro`, which generates several answers for one."""
    mode = (body.get("reasoning") or {}).get("mode")
    if mode not in (None, "standard"):
        raise InvalidRequest(UNMETERED % {"name": "reasoning.mode"}, param="reasoning.mode")


def _check_input(body: Body, dropped: list[str]) -> list[Content]:
    """Check the input, and return the contents in it that are no text.

    Items that no provider gets are removed from `body`, and their names added to `dropped`.
    """
    listed = body.get("input")
    if isinstance(listed, str):
        return []
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_ITEMS:
        raise InvalidRequest(
            _("input must be a string or a list of 1 to %(most)d items.") % {"most": MAX_ITEMS},
            param="input",
        )
    kept, left_out = items.select(listed)
    if not kept:
        raise request_body.build_unmeasured_refusal("input.0")
    if left_out:
        body["input"] = [item for _param, item in kept]
        dropped += left_out
    contents: list[Content] = []
    for param, item in kept:
        if name := PARTS_OF.get(item.get("type") or "message"):
            contents += _find_media(item.get(name), f"{param}.{name}")
    return contents


def _find_media(content: Any, param: str) -> Iterator[Content]:
    if content is None or isinstance(content, str):
        return
    if not (isinstance(content, list) and all(isinstance(part, dict) for part in content)):
        raise InvalidRequest(
            _("%(param)s must be a string or a list of parts.") % {"param": param}, param=param
        )
    for part in content:
        if part.get("file_id"):
            raise request_body.build_unmeasured_refusal(param)
        if part.get("type") in MEDIA_PARTS:
            yield from media_parts.read_part(part, param)
        elif part.get("type") not in PARTS:
            raise request_body.build_unknown_type_refusal(param)


LAST = ("response.completed", "response.incomplete", "response.failed")


class ResponseEvents(Stream):
    """Typed events. Clients stop reading at the last one, so the bill is sent before it."""

    last = b""
    number = 0  # sequence number of the next event
    response: Body
    items: list[Any]

    def __init__(self, request: CompletionRequest) -> None:
        super().__init__(request)
        self.response, self.items = {}, []

    def failed(self, event: Event, chunk: Any) -> bool:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if kind == "response.failed" and isinstance(chunk.get("response"), dict):
            self.response = chunk["response"]
        return kind in ("error", "response.failed") or super().failed(event, chunk)

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        if self._note(chunk) in LAST:
            self.last = event.raw
            return None
        return super().passed(event, chunk)

    def _note(self, chunk: Any) -> Any:
        """Store what the last event may need from this one; return the type of this event."""
        if not isinstance(chunk, dict):
            return None
        if isinstance(number := chunk.get("sequence_number"), int):
            self.number = number + 1
        if isinstance(response := chunk.get("response"), dict):
            self.response = response
        if chunk.get("type") == "response.output_item.done":
            self.items.append(chunk.get("item"))
        return chunk.get("type")

    def is_last(self, event: Event, chunk: Any) -> bool:
        return bool(self.last)

    def is_whole(self, meter: Any, *, done: bool) -> bool:
        return False

    def limited(self, receipt: Receipt) -> bytes:
        usage = receipt.usage
        response = {
            **self.response,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": self.items,
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.total_tokens,
            },
        }
        self.last = self._event("response.incomplete", response=response)
        return b""

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        """Keep the last event: `response.failed` if the provider sent one, else `error`.

        OpenAI's clients raise for any event with a member `error`. Other clients read the members
        that the reference has: the same facts beside it, or those in `response`.
        """
        if self.response.get("status") == "failed" and self.response.get("error") is not None:
            code = refusal.code if isinstance(refusal, UpstreamRejected) else "server_error"
            error = {"code": code, "message": refusal.message}
            failed = {**self.response, "error": error}
            self.last = self._event("response.failed", response=failed, error=error)
        else:
            facts = RESPONSES.refusal(refusal)
            flat = {name: facts["error"][name] for name in ("code", "message", "param")}
            self.last = self._event("error", **facts, **flat)
        return b""

    def end(self, receipt: Receipt) -> bytes:
        return encode_bill(receipt) + self.last

    def _event(self, kind: str, **fields: Any) -> bytes:
        return encode_event(
            lenient_json.encode({"type": kind, **fields, "sequence_number": self.number}),
            kind.encode(),
        )
