"""`/v1/chat/completions`, and the two routes of the desktop application for the same purpose.

Source: OpenAI API reference, "Create chat completion"; api.md §3.
"""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from llmproxy import lenient_json
from llmproxy.exceptions import GatewayRefusal, InvalidRequest
from llmproxy.metering.media import Content, collect
from llmproxy.models import Endpoint
from llmproxy.routes import media_parts, request_body
from llmproxy.routes.base import Receipt, Route, Stream, build_credits, encode_bill, encode_event
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.routes.tables import tools
from llmproxy.routes.tables.chat import LIMITS, MAX_MESSAGES, PARAMETERS
from llmproxy.upstream.event_stream import Event

# Types of message parts that are text. Each has no more tokens than bytes.
PARTS = frozenset({"text", "refusal"})
THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
# Parameters besides the messages whose texts a model reads, and the time for which a provider may
# keep the prompt. Few requests have one.
PROMPT_PARAMETERS = ("documents", "chat_template_kwargs", "cache_control")
DONE = b"data: [DONE]\n\n"


class Chat(Route):
    endpoint = Endpoint.CHAT
    member = "choices"

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        request_body.check_cache(body, "")
        left_out = tools.leave_out(body, tools.CHAT) if body.get("tools") else []
        media = collect(_check_messages(body, left_out))
        limit = next((name for name in LIMITS if body.get(name) is not None), LIMITS[0])
        selection = PARAMETERS.select(body)
        kept, dropped = selection.kept, [*left_out, *selection.dropped]
        if kept.get("modalities") or "extra_body" in kept:
            dropped += _drop_members(kept)
        include_usage = request_body.set_stream(body, kept, stream)
        prompt = request_body.measure_prompt(
            media,
            body["messages"],
            body.get("tools"),
            body.get("functions"),
            body.get("response_format"),
            *[body[name] for name in PROMPT_PARAMETERS if name in body],
        )
        return CompletionRequest(
            body=kept,
            model=body.get("model") or None,
            stream=kept["stream"],
            prompt_bytes=prompt.size,
            limit=limit,
            limit_names=LIMITS,
            max_tokens=body.get(limit) or body.get("max_output_tokens"),
            choices=body.get("n") or 1,
            media=media,
            writes_1h=prompt.writes_1h,
            include_usage=include_usage,
            dropped=dropped,
            unknown=selection.unknown,
            added=request_body.list_added(kept),
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return Chunks(request)


CHAT = Chat()


class DesktopChat(Chat):
    """`/api/llm/stream`: the bill and a failure are events with their own names."""

    def streamed(self, request: CompletionRequest) -> Stream:
        return NamedChunks(request)


def _drop_members(kept: Body) -> list[str]:
    """Remove speech from the forms of the answer, and what is in the operator's account at Google.

    Returns the names of what was removed.
    """
    dropped = []
    if "audio" in (forms := kept.get("modalities") or ()):
        dropped.append("modalities (audio)")
        kept["modalities"] = [form for form in forms if form != "audio"] or ["text"]
    google = kept.get("extra_body", {}).get("google")
    if isinstance(google, dict) and google.pop("cached_content", None):
        dropped.append("extra_body.google.cached_content")
    return dropped


def _check_messages(body: Body, dropped: list[str]) -> list[Content]:
    """Check the messages, and return the contents in them that are no text.

    Parts that no provider gets are removed from `body`, and their names added to `dropped`.
    """
    contents: list[Content] = []
    for param, message in request_body.iterate_messages(body, MAX_MESSAGES):
        if message.get("audio"):
            raise request_body.build_unmeasured_refusal(f"{param}.audio")
        request_body.check_cache(message, param)
        content = message.get("content")
        if not (content is None or isinstance(content, str)):
            if message["role"] == "assistant" and isinstance(content, list):
                dropped += _drop_thoughts(message, content, f"{param}.content")
            if message["content"] != "":
                contents += _find_media(message["content"], f"{param}.content")
    return contents


def _drop_thoughts(message: Body, content: list[Any], param: str) -> list[str]:
    """Remove thoughts from the parts of an answer that comes back; return their names.

    Such parts belong to other APIs. The thoughts that a chat's provider wants back are in members
    of the message, such as `reasoning_content`, and are forwarded.
    """
    thoughts = [part for part in content if isinstance(part, dict) and part.get("type") in THOUGHTS]
    if thoughts:
        # OpenAI refuses an empty list, but not an empty text.
        message["content"] = [part for part in content if part not in thoughts] or ""
    return [f"{param} ({part['type']})" for part in thoughts]


def _find_media(content: Any, param: str) -> Iterator[Content]:
    if not (
        isinstance(content, list)
        and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content)
    ):
        raise InvalidRequest(
            _("%(param)s must be a string or a list of parts.") % {"param": param}, param=param
        )
    for part in content:
        request_body.check_cache(part, param)
        if part["type"] in media_parts.PARTS:
            yield from media_parts.read_part(part, param)
        elif part["type"] not in PARTS:
            raise request_body.build_unknown_type_refusal(param)


class Chunks(Stream):
    """Chunks, then `[DONE]`. The usage chunk waits for the bill, and is sent only on request."""

    kind = "chat.completion.chunk"
    reported: Body | None = None

    def choice(self, finish_reason: str) -> Body:
        """Return the choice that ends the answer with this reason."""
        return {"index": 0, "delta": {}, "finish_reason": finish_reason}

    def passed(self, event: Event, chunk: Any) -> bytes | None:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if choices:
            return event.raw
        if isinstance(chunk, dict) and isinstance(chunk.get("usage"), dict):
            self.reported = {**chunk, "choices": []}
            return None
        # What is no chunk at all, such as a heartbeat in words of its own, breaks clients.
        return event.raw if isinstance(choices, list) else None

    def limited(self, receipt: Receipt) -> bytes:
        return encode_event(
            lenient_json.encode({**self._chunk(receipt), "choices": [self.choice("length")]})
        )

    def end(self, receipt: Receipt) -> bytes:
        return (self._usage(receipt) if self.request.include_usage else self.bill(receipt)) + DONE

    def failure(self, refusal: GatewayRefusal, receipt: Receipt) -> bytes:
        """Return an event with `error` alone, then a chunk that ends the choice.

        In one event they would be taken for an ordinary end by clients that look for `choices`
        first (the AI SDK's provider for OpenAI).
        """
        chunk = {**self._chunk(receipt), "choices": [self.choice("error")]}
        error, end = map(lenient_json.encode, (CHAT.refusal(refusal), chunk))
        return encode_event(error) + encode_event(end)

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
