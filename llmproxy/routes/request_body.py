"""What the bodies of all routes have in common: they are bounded, parsed and measured here.

parameters.py checks their members.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson
from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.pricing import held_tokens

Body = dict[str, Any]

MAX_PARTS = (
    200_000  # lists and objects, each of which takes a microsecond; those in texts count too
)
MAX_TOKEN_ID = 2**31 - 1
LEAST_THINKING = 1024  # Anthropic refuses a smaller budget


@dataclass(slots=True)
class Asked:
    """A valid request, whatever the route. `body` has only what a provider may get.

    `prompt_bytes` bounds the tokens of the prompt for certain, without those of the `images`, which are counted
    apart, and without the `prompt_ids`, tokens that are known to be so many. `max_tokens` is the caller's own
    limit of the answer, None for the model's, 0 where the answer has no tokens. `limit` is how the route spells it,
    `choices` how many answers are asked for; `echoed_bytes` of the prompt come back in them. `thinking` is the budget
    of tokens within the limit that may be thought, 0 for none that we have to keep below it.
    """

    body: Body
    model: str | None
    stream: bool
    prompt_bytes: int
    limit: str = ""
    max_tokens: int | None = None
    choices: int = 1
    images: int = 0
    prompt_ids: int = 0
    echoed_bytes: int = 0
    include_usage: bool = False
    thinking: int = 0

    @property
    def least_tokens(self) -> int:
        """The shortest answer that a provider would write."""
        return LEAST_THINKING + 1 if self.thinking else 1

    def thinking_within(self, max_tokens: int) -> int:
        """What a limit of the answer leaves of the budget: it has to be below that."""
        return min(self.thinking, max(max_tokens - 1, LEAST_THINKING))

    @property
    def prompt_tokens(self) -> int:
        """A cautious estimate."""
        return held_tokens(self.prompt_bytes) + self.prompt_ids

    @property
    def most_prompt_tokens(self) -> int:
        """What the prompt cannot exceed, images apart."""
        return self.prompt_bytes + self.prompt_ids

    def upstream_body(self, *, model: str, max_tokens: int) -> bytes:
        """What the provider gets: its name of the model, our limit, and usage always asked for."""
        self.body["model"] = model
        if self.limit:
            self.body[self.limit] = max_tokens
        if self.thinking:
            self.body["thinking"]["budget_tokens"] = self.thinking_within(max_tokens)
        return orjson.dumps(self.body)


def parsed(raw: bytes) -> Body:
    """The JSON object in `raw`. Raises InvalidRequest."""
    if raw.count(b"[") + raw.count(b"{") > MAX_PARTS:
        raise InvalidRequest(_("The request body has too many lists and objects."))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            _("The request body is not valid JSON: %(why)s.") % {"why": error}
        ) from None
    if not isinstance(body, dict):
        raise InvalidRequest(_("The request body must be a JSON object."))
    return body


def measured(*parts: Any) -> int:
    """The bytes of these parts as JSON. Raises InvalidRequest if they are nested too deeply."""
    try:
        return len(orjson.dumps(parts))  # it reads deeper than it writes
    except TypeError:
        raise InvalidRequest(_("The request body is nested too deeply.")) from None


@dataclass(frozen=True, slots=True)
class Texts:
    """How many texts there are, their bytes, and how many tokens come as numbers."""

    count: int
    size: int = 0
    ids: int = 0


def texts(body: Body, name: str, most: int) -> Texts:
    """The member is a text, or a list of them, each as a string or as a list of tokens; at most so many."""
    value = body.get(name)
    if isinstance(value, str):
        return Texts(1, size_of(value))
    if _are_tokens(value):
        return Texts(1, ids=len(value))
    if isinstance(value, list) and 1 <= len(value) <= most:
        if all(isinstance(one, str) for one in value):
            return Texts(len(value), sum(map(size_of, value)))
        if all(_are_tokens(one) for one in value):
            return Texts(len(value), ids=sum(map(len, value)))
    raise InvalidRequest(
        _("%(name)s must be a text, a list of tokens, or a list of at most %(most)d of these.")
        % {"name": name, "most": most},
        param=name,
    )


def size_of(text: str) -> int:
    return len(text.encode(errors="replace"))


def _are_tokens(value: Any) -> TypeGuard[list[int]]:
    if not (isinstance(value, list) and value):
        return False
    return all(type(one) is int and 0 <= one <= MAX_TOKEN_ID for one in value)


def messages(body: Body, most: int) -> Iterator[tuple[str, Body]]:
    """Each message with its place in the body, such as `messages.0`. Raises InvalidRequest."""
    listed = body.get("messages")
    if not isinstance(listed, list) or not 1 <= len(listed) <= most:
        raise InvalidRequest(
            _("messages must be a list of 1 to %(most)d messages.") % {"most": most},
            param="messages",
        )
    for index, message in enumerate(listed):
        param = f"messages.{index}"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequest(
                _("%(param)s must be an object with a role.") % {"param": param}, param=param
            )
        yield param, message


def is_streamed(body: Body, stream: bool | None) -> bool:  # noqa: FBT001 – None: as the body says
    return (body.get("stream") or False) if stream is None else stream


def stream_usage(body: Body, kept: Body, stream: bool | None) -> bool:  # noqa: FBT001 – None is the body's own wish
    """Put into `kept` whether to stream, with usage at the end; True if the caller wants to see that."""
    options = body.get("stream_options") or {}
    kept["stream"] = is_streamed(body, stream)
    if kept["stream"]:
        kept["stream_options"] = {**options, "include_usage": True}
    return options.get("include_usage") or False


def check_cache(block: Body, param: str) -> None:
    """It is to be cached for five minutes, if at all: an hour costs more than the one price of a write says."""
    control = block.get("cache_control")
    if isinstance(control, dict) and control.get("ttl") not in (None, "5m"):
        name = f"{param}.cache_control.ttl".lstrip(".")
        raise InvalidRequest(
            _('%(param)s can only be "5m" here, because a longer time costs more.')
            % {"param": name},
            param=name,
        )


def unmeasured(param: str) -> InvalidRequest:
    return InvalidRequest(
        _(
            "%(param)s cannot be measured before it is sent. Send the content itself, not "
            "an ID or a URL."
        )
        % {"param": param},
        param=param,
    )


def unknown_type(param: str) -> InvalidRequest:
    return InvalidRequest(
        _("%(param)s has a type that this route does not support.") % {"param": param}, param=param
    )
