"""`/v1/chat/completions`, and the two routes of the desktop application for the same purpose.

Source: OpenAI API reference, "Create chat completion"; api.md §3.
"""

import re
from typing import Any

from django.utils.translation import gettext as _

from accounts.toolbox.openapi import ref
from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest
from llmproxy.metering.meter import is_usage_only
from llmproxy.models import Endpoint
from llmproxy.routes import kinds, parameters, request_body
from llmproxy.routes.base import Receipt, Route, Stream, build_credits, encode_bill, encode_event
from llmproxy.routes.kinds import Content
from llmproxy.routes.parameters import (
    CHOICES,
    LIMIT,
    MODEL,
    SAMPLING_WITH_PENALTIES,
    STREAM_WITH_OPTIONS,
    TOOLS,
    UNMETERED,
    Parameter,
    Parameters,
)
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.upstream.event_stream import Event

MAX_MESSAGES = 10_000
# Types of message parts besides images and files. Each has no more tokens than bytes.
PARTS = frozenset({"text", "refusal", "input_audio"})
ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Both names of the limit, the newer first: the newer wins where both are sent.
LIMITS = ("max_completion_tokens", "max_tokens")
# OpenAI's parameters, and the samplers of other providers. No other parameter is forwarded: a
# provider's own parameters can ask for more than was held (`n_predict`, `min_tokens`) or cost more
# (`service_tier`).
PARAMETERS = Parameters(
    # Audio costs a multiple of text, and the tokens of a wrong prediction are billed like those
    # of an answer.
    *parameters.refuse(UNMETERED, "audio", "prediction"),
    Parameter(
        "messages", Content(kinds.describe_list(ref("ChatMessage"), MAX_MESSAGES)), is_required=True
    ),
    *SAMPLING_WITH_PENALTIES,
    TOOLS,
    *(Parameter(name, LIMIT, is_forwarded=False) for name in LIMITS),
    Parameter("n", CHOICES),
    *STREAM_WITH_OPTIONS,
    MODEL,
    *parameters.pass_on(
        """
        function_call functions logit_bias logprobs metadata min_p parallel_tool_calls
        prompt_cache_key reasoning_effort repetition_penalty response_format safety_identifier
        seed tool_choice top_k top_logprobs user verbosity
        """
    ),
)
DONE = b"data: [DONE]\n\n"


class Chat(Route):
    endpoint = Endpoint.CHAT
    member = "choices"

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        images = _check_messages(body)
        limit = next((name for name in LIMITS if body.get(name) is not None), "max_tokens")
        kept = PARAMETERS.select(body)
        include_usage = request_body.set_stream(body, kept, stream)
        size = request_body.measure_json(
            body["messages"], body.get("tools"), body.get("functions"), body.get("response_format")
        )
        image_bytes = sum(len(image) for image in images)
        return CompletionRequest(
            body=kept,
            model=body.get("model"),
            stream=kept["stream"],
            prompt_bytes=size - image_bytes,
            limit=limit,
            max_tokens=body.get(limit),
            choices=body.get("n") or 1,
            images=len(images),
            include_usage=include_usage,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return Chunks(request)


CHAT = Chat()


class DesktopChat(Chat):
    """`/api/llm/stream`: the bill and a failure are events with their own names."""

    def streamed(self, request: CompletionRequest) -> Stream:
        return NamedChunks(request)


def _check_messages(body: Body) -> list[str]:
    """Check the messages, and return the images in them as texts of the body.

    An image is charged by its pixels, so its bytes do not count as prompt.
    """
    images: list[str] = []
    for param, message in request_body.iterate_messages(body, MAX_MESSAGES):
        if message.get("audio"):
            raise request_body.build_unmeasured_refusal(f"{param}.audio")
        request_body.check_cache(message, param)
        content = message.get("content")
        if not (content is None or isinstance(content, str)):
            images += _find_images(content, f"{param}.content")
    return images


def _find_images(content: Any, param: str) -> list[str]:
    if not (
        isinstance(content, list)
        and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content)
    ):
        raise InvalidRequest(
            _("%(param)s must be a string or a list of parts.") % {"param": param}, param=param
        )
    images = []
    for part in content:
        request_body.check_cache(part, param)
        if part["type"] == "image_url":
            address = part.get("image_url")
            url = address.get("url") if isinstance(address, dict) else address
            if not isinstance(url, str):
                raise InvalidRequest(
                    _("%(param)s has an image without a URL.") % {"param": param}, param=param
                )
            images.append(url)
        elif part["type"] == "file":
            _check_file(part.get("file"), param)
        elif part["type"] not in PARTS:
            raise request_body.build_unknown_type_refusal(param)
    return images


def _check_file(file: Any, param: str) -> None:
    """Refuse a file whose bytes are not in the request.

    An id may be that of another caller's file, and the size of a file behind a URL is unknown.
    """
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(data, str) or file.get("file_id") or ADDRESS.match(data):
        raise request_body.build_unmeasured_refusal(param)


class Chunks(Stream):
    """Chunks, then `[DONE]`. The usage chunk waits for the bill, and is sent only on request."""

    kind = "chat.completion.chunk"
    reported: Body | None = None

    def choice(self, finish_reason: str) -> Body:
        """Return the choice that ends the answer with this reason."""
        return {"index": 0, "delta": {}, "finish_reason": finish_reason}

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        if is_usage_only(chunk):
            self.reported = chunk
            return None
        return super().passed(event, chunk)

    def limited(self, receipt: Receipt) -> bytes:
        return encode_event(
            lenient_json.encode({**self._chunk(receipt), "choices": [self.choice("length")]})
        )

    def end(self, receipt: Receipt) -> bytes:
        return (self._usage(receipt) if self.request.include_usage else self.bill(receipt)) + DONE

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        chunk = {**self._chunk(receipt), "choices": [self.choice("error")], **CHAT.refusal(refusal)}
        return encode_event(lenient_json.encode(chunk))

    def bill(self, receipt: Receipt) -> bytes:
        return encode_bill(receipt)

    def _usage(self, receipt: Receipt) -> bytes:
        """Return the usage chunk with the charged tokens: a provider may send several chunks."""
        usage = {
            "prompt_tokens": receipt.usage.prompt_tokens,
            "completion_tokens": receipt.usage.completion_tokens,
            "total_tokens": receipt.usage.total_tokens,
        }
        chunk = self.reported or {**self._chunk(receipt), "choices": [], "usage": {}}
        usage = {**chunk["usage"], **usage}
        return encode_event(
            lenient_json.encode({**chunk, "usage": usage, "_credits": build_credits(receipt)})
        )

    def _chunk(self, receipt: Receipt) -> Body:
        return {
            "id": receipt.upstream_id or receipt.generation_id,
            "object": self.kind,
            "created": receipt.created,
            "model": receipt.model,
        }


class NamedChunks(Chunks):
    def bill(self, receipt: Receipt) -> bytes:
        return encode_event(lenient_json.encode(build_credits(receipt)), b"credits")

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        return encode_event(
            lenient_json.encode({**CHAT.refusal(refusal), "finish_reason": "error"}), b"error"
        )
