"""The body of a chat completion: bounded, checked, and rewritten for the provider.

Checked is what this service acts on; any other parameter is the provider's to judge.
Source: OpenAI API reference, "Create chat completion".
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.pricing import held_tokens

Kind = TypeVar("Kind")

# What OpenAI's reference names, and the samplers that others add. Anything else stays here: a provider's
# own parameters can ask for more than was held (`n_predict`, `min_tokens`) or cost more (`service_tier`).
FORWARDED = frozenset(
    """
    messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata min_p modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key
    reasoning_effort repetition_penalty response_format safety_identifier seed stop store stream stream_options
    temperature tool_choice tools top_k top_logprobs top_p user verbosity
    """.split()  # noqa: SIM905 – a list of forty strings would take forty lines
)
MAX_MESSAGES = 10_000
MAX_PARTS = 200_000  # lists and objects, each of which takes a microsecond; those in texts count too
MAX_CHOICES = 16
MAX_TOKENS = 10_000_000
# Both spellings of one limit, the newer first: the newer wins where both are given.
LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(slots=True)
class ChatRequest:
    """A valid request. `prompt_tokens` is estimated; `prompt_bytes` bounds it for certain."""

    body: dict[str, Any]
    model: str | None
    stream: bool
    include_usage: bool
    choices: int
    max_tokens: int | None
    prompt_tokens: int
    prompt_bytes: int

    def upstream_body(self, *, model: str, max_tokens: int) -> bytes:
        """What the provider gets: its name of the model, our limit, and usage always asked for."""
        limit = next((name for name in LIMITS if self.body.get(name) is not None), "max_tokens")
        sent = {name: value for name, value in self.body.items() if name not in (*LIMITS, "stream_options")}
        sent |= {"model": model, "stream": self.stream, limit: max_tokens}
        if self.stream:
            sent["stream_options"] = {**(self.body.get("stream_options") or {}), "include_usage": True}
        return orjson.dumps(sent)


def parse(raw: bytes, *, stream: bool | None = None) -> ChatRequest:
    """The request in `raw`; `stream` overrides what the body says. Raises InvalidRequest."""
    body = _object(raw)
    asked = _typed(body, "stream", bool, _("a boolean")) or False
    options = _typed(body, "stream_options", dict, _("an object")) or {}
    include_usage = _typed(options, "include_usage", bool, _("a boolean")) or False
    messages = _messages(body)
    _check_ranges(body)
    _check_depth(body)
    prompt = orjson.dumps([messages, body.get("tools"), body.get("functions"), body.get("response_format")])
    return ChatRequest(
        body={name: value for name, value in body.items() if name in FORWARDED},
        model=_typed(body, "model", str, _("a string")),
        stream=asked if stream is None else stream,
        include_usage=include_usage,
        choices=_whole(body, "n", MAX_CHOICES) or 1,
        max_tokens=_limit(body),
        prompt_tokens=held_tokens(prompt),
        prompt_bytes=len(prompt),
    )


def _object(raw: bytes) -> dict[str, Any]:
    if raw.count(b"[") + raw.count(b"{") > MAX_PARTS:
        raise InvalidRequest(_("The body has too many lists and objects."))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_("The body is not valid JSON: %(why)s.") % {"why": error}) from None
    if not isinstance(body, dict):
        raise InvalidRequest(_("The body must be a JSON object."))
    return body


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidRequest(
            _("messages must be a list of 1 to %(most)d messages.") % {"most": MAX_MESSAGES}, param="messages"
        )
    for index, message in enumerate(messages):
        _check_message(message, f"messages.{index}")
    return messages


def _check_message(message: Any, param: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidRequest(_("%(param)s must be an object with a role.") % {"param": param}, param=param)
    content = message.get("content")
    if not (content is None or isinstance(content, str) or _is_parts(content)):
        raise InvalidRequest(
            _("%(param)s.content must be a string or a list of parts.") % {"param": param}, param=f"{param}.content"
        )


def _is_parts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(p, dict) and isinstance(p.get("type"), str) for p in content)


def _check_ranges(body: dict[str, Any]) -> None:
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
    ):
        value = body.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high
        ):
            raise InvalidRequest(
                _("%(name)s must be a number from %(low)d to %(high)d.") % {"name": name, "low": low, "high": high},
                param=name,
            )
    stop = body.get("stop")
    if not (
        stop is None or isinstance(stop, str) or (isinstance(stop, list) and all(isinstance(s, str) for s in stop))
    ):
        raise InvalidRequest(_("stop must be a string or a list of strings."), param="stop")


def _check_depth(body: dict[str, Any]) -> None:
    try:
        orjson.dumps(body)  # it reads deeper than it writes
    except TypeError:
        raise InvalidRequest(_("The body is nested too deeply.")) from None


def _limit(body: dict[str, Any]) -> int | None:
    limits = [_whole(body, name, MAX_TOKENS) for name in LIMITS]
    return next((limit for limit in limits if limit is not None), None)


def _whole(body: dict[str, Any], name: str, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRequest(
            _("%(name)s must be a whole number from 1 to %(most)d.") % {"name": name, "most": most}, param=name
        )
    return int(value)


def _typed(body: dict[str, Any], name: str, kind: type[Kind], words: str) -> Kind | None:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(_("%(name)s must be %(kind)s.") % {"name": name, "kind": words}, param=name)
    return value
