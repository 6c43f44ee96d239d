"""`/v1/responses`: OpenAI's Responses API, without the state that it stores between requests.

The provider would store that state in the operator's account: one caller could reach the state of
another, and the tokens of stored state have no known bound.

Source: OpenAI API reference, "Create a model response" and "Streaming events".
"""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest
from llmproxy.metering.media import Content, collect
from llmproxy.metering.route_meters import ResponsesMeter
from llmproxy.models import Endpoint
from llmproxy.routes import kinds, media_parts, parameters, request_body
from llmproxy.routes.base import Receipt, Route, Stream, encode_bill, encode_event
from llmproxy.routes.kinds import OBJECT, STRING
from llmproxy.routes.kinds import Content as ContentKind
from llmproxy.routes.parameters import (
    LIMIT,
    MODEL,
    SAMPLING,
    STREAM,
    TOOLS,
    UNMETERED,
    Parameter,
    Parameters,
)
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.upstream.event_stream import Event

MAX_ITEMS = 10_000
# Types of items that callers send back from earlier answers, or add. All other types belong to
# tools that the provider runs.
ITEMS = (
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
)
PARTS = (
    "input_text",
    "output_text",
    "refusal",
    "summary_text",
    "reasoning_text",
    "text",
)
MEDIA_PARTS = ("input_image", "input_file", "input_audio")

PARAMETERS = Parameters(
    *parameters.refuse(
        gettext_lazy(
            "%(name)s is not available here. Send everything that the model needs in input."
        ),
        "previous_response_id",
        "conversation",
        "background",
        "prompt",
    ),
    *parameters.refuse(
        gettext_lazy(
            "%(name)s is not available here, because no answer is stored. Send false, "
            "or leave it out."
        ),
        "store",
    ),
    # It generates a summary, which the limit of the answer does not include.
    *parameters.refuse(UNMETERED, "context_management"),
    *SAMPLING,
    Parameter("reasoning", OBJECT),
    TOOLS,
    Parameter(
        "input",
        ContentKind({"anyOf": [kinds.TEXT, kinds.describe_list(OBJECT.schema(), MAX_ITEMS)]}),
        is_required=True,
    ),
    STREAM,
    Parameter("instructions", STRING),
    Parameter("text", OBJECT),
    MODEL,
    Parameter("max_output_tokens", LIMIT, is_forwarded=False),
    *parameters.pass_on(
        """
        include metadata parallel_tool_calls prompt_cache_key safety_identifier stream_options
        tool_choice top_logprobs truncation user
        """
    ),
)


class Responses(Route):
    endpoint = Endpoint.RESPONSES
    member = "output"
    meter = ResponsesMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        _check_reasoning(body)
        media = collect(_check_input(body))
        kept = PARAMETERS.select(body)
        kept["stream"] = request_body.is_streamed(body, stream)
        kept["store"] = False
        prompt = request_body.measure_prompt(
            media, body["input"], body.get("instructions"), body.get("tools"), body.get("text")
        )
        return CompletionRequest(
            body=kept,
            model=body.get("model"),
            stream=kept["stream"],
            prompt_bytes=prompt.size,
            limit="max_output_tokens",
            max_tokens=body.get("max_output_tokens"),
            media=media,
            writes_1h=prompt.writes_1h,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return ResponseEvents(request)


RESPONSES = Responses()


def _check_reasoning(body: Body) -> None:
    """Refuse the mode `pro`, which generates several answers for one."""
    mode = (body.get("reasoning") or {}).get("mode")
    if mode not in (None, "standard"):
        raise InvalidRequest(UNMETERED % {"name": "reasoning.mode"}, param="reasoning.mode")


def _check_input(body: Body) -> list[Content]:
    """Check the input, and return the contents in it that are no text."""
    items = body.get("input")
    if isinstance(items, str):
        return []
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidRequest(
            _("input must be a string or a list of 1 to %(most)d items.") % {"most": MAX_ITEMS},
            param="input",
        )
    contents: list[Content] = []
    for index, item in enumerate(items):
        param = f"input.{index}"
        # An item that has only an id refers to an item that the provider stores.
        if (
            not isinstance(item, dict)
            or (item.get("type") or ("role" in item and "message")) not in ITEMS
        ):
            raise request_body.build_unknown_type_refusal(param)
        if _is_reference(item):
            raise request_body.build_unmeasured_refusal(param)
        for name in ("content", "output", "summary"):
            contents += _find_media(item.get(name), f"{param}.{name}")
    return contents


def _is_reference(item: Body) -> bool:
    """True if the item has no content: the provider would look it up in the operator's account."""
    if item.get("type") == "reasoning":
        return not (item.get("encrypted_content") or item.get("summary") or item.get("content"))
    return item.get("type", "message") == "message" and not item.get("content")


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
# Codes of errors about the caller's request. All others are about the operator's account at the
# provider, and are only logged.
CALLERS_ERRORS = (
    "invalid_",
    "image_",
    "unsupported_image",
    "empty_image",
    "failed_to_download",
    "bio_policy",
)


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
            error = _choose_error(self.response["error"], refusal)
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


def _choose_error(reported: Any, refusal: GatewayRefusal) -> Any:
    """Return the provider's error if it is about the caller's request, else one without details."""
    code = reported.get("code") if isinstance(reported, dict) else None
    if isinstance(code, str) and code.startswith(CALLERS_ERRORS):
        return reported
    return {"code": "server_error", "message": refusal.message}
