"""`/v1/chat/completions`, and the desktop's own two spellings of it.

Source: OpenAI API reference, "Create chat completion"; api.md §3.
"""

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest
from llmproxy.metering.meter import is_usage_only
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Receipt, Route, Stream, bill, credits_of, event
from llmproxy.routes.request_body import MAX_CHOICES, MAX_TOKENS, Asked, Body
from llmproxy.upstream.event_stream import Event

# What OpenAI's reference names, and the samplers that others add. Anything else stays here: a provider's
# own parameters can ask for more than was held (`n_predict`, `min_tokens`) or cost more (`service_tier`).
FORWARDED = frozenset(
    """
    messages frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata min_p model n parallel_tool_calls presence_penalty prompt_cache_key
    reasoning_effort repetition_penalty response_format safety_identifier seed stop stream stream_options
    temperature tool_choice tools top_k top_logprobs top_p user verbosity
    """.split()  # noqa: SIM905 – a list of forty strings would take forty lines
)
MAX_MESSAGES = 10_000
# What a message may consist of besides images and files: its tokens are no more than its bytes.
PARTS = frozenset({"text", "refusal", "input_audio"})
ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Sound costs a multiple of text, and a prediction that does not come true is billed as if it were an answer.
COSTS_MORE = ("audio", "prediction")
UNMETERED: Any = gettext_lazy("%(name)s is not offered here: what it costs cannot be metered.")
# Both spellings of one limit, the newer first: the newer wins where both are given.
LIMITS = ("max_completion_tokens", "max_tokens")
DONE = b"data: [DONE]\n\n"


class Chat(Route):
    endpoint = Endpoint.CHAT

    def parse(self, raw: bytes, *, stream: bool | None = None) -> Asked:
        body = request_body.parsed(raw)
        request_body.refuse(body, COSTS_MORE, UNMETERED)
        images = _check_messages(body)
        request_body.check_ranges(
            body,
            temperature=(0, 2),
            top_p=(0, 1),
            presence_penalty=(-2, 2),
            frequency_penalty=(-2, 2),
        )
        request_body.check_strings(body, "stop")
        request_body.check_tools(body, lambda kind: kind in ("function", "custom"))
        limits = {name: request_body.whole(body, name, MAX_TOKENS) for name in LIMITS}
        limit = next((name for name in LIMITS if limits[name] is not None), "max_tokens")
        choices = request_body.whole(body, "n", MAX_CHOICES) or 1
        kept = request_body.only(body, FORWARDED - {*LIMITS, "stream_options"})
        include_usage = request_body.stream_usage(body, kept, stream)
        size = request_body.measured(
            body["messages"], body.get("tools"), body.get("functions"), body.get("response_format")
        )
        pictured = sum(len(image) for image in images)
        return Asked(
            body=kept,
            model=request_body.text(body, "model"),
            stream=kept["stream"],
            prompt_bytes=size - pictured,
            limit=limit,
            max_tokens=limits[limit],
            choices=choices,
            images=len(images),
            include_usage=include_usage,
        )

    def is_answer(self, answer: Body) -> bool:
        return isinstance(answer.get("choices"), list)

    def streamed(self, asked: Asked) -> Stream:
        return Chunks(asked)


CHAT = Chat()


class DesktopChat(Chat):
    """`/api/llm/stream`: the bill and a failure are events with names of their own."""

    def streamed(self, asked: Asked) -> Stream:
        return NamedChunks(asked)


def _check_messages(body: Body) -> list[str]:
    """The images in the messages, as they stand in the body; each is tokens by its size in pixels, not in bytes."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidRequest(
            _("messages must be a list of 1 to %(most)d messages.") % {"most": MAX_MESSAGES},
            param="messages",
        )
    images: list[str] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            param = f"messages.{index}"
            raise InvalidRequest(
                _("%(param)s must be an object with a role.") % {"param": param}, param=param
            )
        if message.get("audio"):
            raise request_body.unmeasured(f"messages.{index}.audio")
        request_body.check_cache(message, f"messages.{index}")
        content = message.get("content")
        if not (content is None or isinstance(content, str)):
            images += _images(content, f"messages.{index}.content")
    return images


def _images(content: Any, param: str) -> list[str]:
    if not (
        isinstance(content, list)
        and all(isinstance(p, dict) and isinstance(p.get("type"), str) for p in content)
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
            raise request_body.unknown_type(param)
    return images


def _check_file(file: Any, param: str) -> None:
    """Its bytes must be here: an id may be another caller's file, and nobody knows how long what an address has is."""
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(data, str) or file.get("file_id") or ADDRESS.match(data):
        raise request_body.unmeasured(param)


class Chunks(Stream):
    """Chunks, then `[DONE]`. The usage chunk waits for the bill, and only comes if it was asked for."""

    kind = "chat.completion.chunk"
    reported: Body | None = None

    def choice(self, finish_reason: str) -> Body:
        """Nothing more of the answer, and why."""
        return {"index": 0, "delta": {}, "finish_reason": finish_reason}

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        if is_usage_only(chunk):
            self.reported = chunk
            return None
        return super().passed(event, chunk)

    def limited(self, receipt: Receipt) -> bytes:
        return event(
            lenient_json.encode({**self._chunk(receipt), "choices": [self.choice("length")]})
        )

    def end(self, receipt: Receipt) -> bytes:
        return (self._usage(receipt) if self.asked.include_usage else self.bill(receipt)) + DONE

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        chunk = {**self._chunk(receipt), "choices": [self.choice("error")], **CHAT.refusal(refusal)}
        return event(lenient_json.encode(chunk))

    def bill(self, receipt: Receipt) -> bytes:
        return bill(receipt)

    def _usage(self, receipt: Receipt) -> bytes:
        usage = {
            "prompt_tokens": receipt.usage.prompt_tokens,
            "completion_tokens": receipt.usage.completion_tokens,
            "total_tokens": receipt.usage.total_tokens,
        }
        chunk = self.reported or {**self._chunk(receipt), "choices": [], "usage": usage}
        return event(lenient_json.encode({**chunk, "_credits": credits_of(receipt)}))

    def _chunk(self, receipt: Receipt) -> Body:
        return {
            "id": receipt.upstream_id or receipt.generation_id,
            "object": self.kind,
            "created": receipt.created,
            "model": receipt.model,
        }


class NamedChunks(Chunks):
    def bill(self, receipt: Receipt) -> bytes:
        return event(lenient_json.encode(credits_of(receipt)), b"credits")

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        return event(
            lenient_json.encode({**CHAT.refusal(refusal), "finish_reason": "error"}), b"error"
        )
