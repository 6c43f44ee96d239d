"""Bounds, parses and measures the request bodies of all routes.

parameters.py checks the members of a body.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import orjson
from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.media import Media
from llmproxy.metering.pricing import held_tokens
from llmproxy.routes.bodies import dropped_names, json_text

Body = dict[str, Any]

# Lists and objects in a body; each takes a microsecond to parse. Brackets inside texts count too.
MAX_PARTS = 200_000
MAX_TOKEN_ID = 2**31 - 1
CACHE_TIMES = (None, "5m", "1h")
KEPT_FOR_AN_HOUR = b'"ttl":"1h"'  # of Anthropic's cache_control, as orjson writes it
LEAST_THINKING = 1024  # Anthropic refuses a smaller budget
ALL_UNKNOWN = "*"  # a provider that gets every parameter that is on no list


@dataclass(slots=True)
class CompletionRequest:
    """A valid request of any route. `body` contains only the members that a provider may get.

    * `prompt_bytes`: size of the prompt. A token is at least one byte, so this bounds the tokens of
      the prompt without its `media` and `prompt_ids`, which are counted separately.
    * `prompt_ids`: tokens of the prompt whose number is known, such as texts sent as token ids.
    * `limit`: the caller's name of the parameter that limits the answer, or the route's default.
    * `limit_names`: all names that the route has for it.
    * `max_tokens`: that limit as the caller sent it; None stands for the model's limit, 0 for an
      answer that has no tokens.
    * `choices`: the number of answers to generate.
    * `echoed_bytes`: bytes of the prompt that the answers repeat.
    * `writes_1h`: True if it asks a provider to keep something in its cache for an hour.
    * `thinking`: the budget of thinking tokens, which must stay below the limit; 0 if there is no
      budget to adapt.
    * `dropped`: the names of what no provider gets (dropped_names.py).
    * `unknown`: members on no list. A provider gets those that `forwarded` names: what the operator
      allows for the provider that is asked now; ALL_UNKNOWN in it stands for all.
    * `added`: the members of `body` that the gateway added or changed, with the caller's own value;
      None stands for none. A provider that refuses one of them can be asked again without it.
    * `headers`: further request headers that the body asks for.
    * `is_rewritten`: True if the route writes the JSON answer in another form than the provider. It
      is not stored for a repetition.
    """

    body: Body
    model: str | None
    stream: bool
    prompt_bytes: int
    limit: str = ""
    limit_names: tuple[str, ...] = ()
    max_tokens: int | None = None
    choices: int = 1
    media: Media | None = None
    prompt_ids: int = 0
    echoed_bytes: int = 0
    include_usage: bool = False
    thinking: int = 0
    writes_1h: bool = False
    dropped: list[str] = field(default_factory=list)
    unknown: Body = field(default_factory=dict)
    forwarded: Collection[str] = ()
    added: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    is_rewritten: bool = False

    @property
    def least_tokens(self) -> int:
        """The smallest limit, in tokens, with which a provider accepts this request."""
        return LEAST_THINKING + 1 if self.thinking else 1

    def thinking_within(self, max_tokens: int) -> int:
        """Return the thinking budget for this limit of the answer: it must be below the limit."""
        return min(self.thinking, max(max_tokens - 1, LEAST_THINKING))

    @property
    def prompt_tokens(self) -> int:
        """A cautious estimate of the tokens of the prompt, without its media."""
        return held_tokens(self.prompt_bytes) + self.prompt_ids

    @property
    def most_prompt_tokens(self) -> int:
        """The most tokens that the prompt can have, without its media."""
        return self.prompt_bytes + self.prompt_ids

    def add(self, **members: Any) -> None:
        """Write members of the body that the caller did not ask for."""
        self.added |= {name: self.body.get(name) for name in members}
        self.body |= members

    def add_nothing(self) -> None:
        """Undo all that was added, for a route that takes only a part of a completion's body."""
        for name, own in self.added.items():
            if own is None:
                self.body.pop(name, None)
            else:
                self.body[name] = own
        self.added = {}

    @property
    def not_sent(self) -> list[str]:
        """The names of what the provider that is asked now does not get."""
        if not (self.dropped or self.unknown):
            return []
        withheld = [name for name in self.unknown if not self._is_forwarded(name)]
        return dropped_names.list_names([*self.dropped, *withheld])

    def _is_forwarded(self, name: str) -> bool:
        return name in self.forwarded or ALL_UNKNOWN in self.forwarded

    def upstream_body(
        self,
        *,
        model: str,
        max_tokens: int,
        limit: str | None = None,
        left_out: Collection[str] = (),
    ) -> bytes:
        """Return the body for the provider, with the provider's name of the model and our limit.

        `limit` is the provider's name of the limit, if it is not the caller's. Of the members of
        `added` that are `left_out`, the caller's own values are sent.
        """
        self.body["model"] = model
        if name := self.limit if limit is None else limit:
            for other in self.limit_names:
                self.body.pop(other, None)
            self.body[name] = max_tokens
        if self.thinking:
            self.body["thinking"]["budget_tokens"] = self.thinking_within(max_tokens)
        if not (left_out or self.unknown):
            return orjson.dumps(self.body)
        more = {name: self.unknown[name] for name in self.unknown if self._is_forwarded(name)}
        own = {name: self.added[name] for name in left_out if name in self.added}
        sent = {**more, **self.body, **own}
        return orjson.dumps({name: sent[name] for name in sent if own.get(name, name) is not None})


def parse_object(raw: bytes) -> Body:
    """Parse the JSON object in `raw`. Raises InvalidRequest."""
    if raw.count(b"[") + raw.count(b"{") > MAX_PARTS:
        raise InvalidRequest(_("The request body has too many lists and objects."))
    body = json_text.load(raw)
    if not isinstance(body, dict):
        raise InvalidRequest(_("The request body must be a JSON object."))
    return _unfold_extra_body(body) if "extra_body" in body else body


def _unfold_extra_body(body: Body) -> Body:
    """Return the body with the members of `extra_body` in it, as many clients mean them.

    Only Google has a parameter of this name, in which `google` has the parameters of its own API.
    Clients that follow Google's examples for another language write it twice.
    """
    google = None
    while "extra_body" in body:
        extra = body.pop("extra_body")
        if not isinstance(extra, dict | None):
            raise InvalidRequest(_("extra_body must be an object."), param="extra_body")
        body = {**(extra or {}), **body}
        google = google or body.pop("google", None)
    return body if google is None else {**body, "extra_body": {"google": google}}


def measure_json(*parts: Any) -> int:
    """Return the size of these parts as JSON, in bytes. Raises InvalidRequest for deep nesting."""
    try:
        return len(orjson.dumps(parts))  # orjson parses deeper nesting than it writes
    except TypeError:
        raise InvalidRequest(_("The request body is nested too deeply.")) from None


@dataclass(slots=True)
class Prompt:
    """The size of a prompt in bytes, without its media; and what it asks of a cache."""

    size: int
    writes_1h: bool


def measure_prompt(media: Media | None, *parts: Any) -> Prompt:
    """Measure the parts of a body that a model reads. Raises InvalidRequest for deep nesting."""
    try:
        written = orjson.dumps(parts)
    except TypeError:
        raise InvalidRequest(_("The request body is nested too deeply.")) from None
    size = len(written) - (media.sent_bytes if media else 0)
    return Prompt(size, writes_1h=KEPT_FOR_AN_HOUR in written)


@dataclass(frozen=True, slots=True)
class Texts:
    """The number of texts, their size in bytes, and the number of tokens that were sent as ids."""

    count: int
    size: int = 0
    ids: int = 0


def measure_texts(body: Body, name: str, most: int) -> Texts:
    """Check and measure the member `name`: a text, or a list of at most `most` texts.

    A text is a string or a list of token ids. Raises InvalidRequest.
    """
    value = body[name] = _make_tokens_whole(body.get(name))
    if isinstance(value, str):
        return Texts(1, count_bytes(value))
    if _are_tokens(value):
        return Texts(1, ids=len(value))
    if isinstance(value, list) and 1 <= len(value) <= most:
        if all(isinstance(one, str) for one in value):
            return Texts(len(value), sum(map(count_bytes, value)))
        if all(_are_tokens(one) for one in value):
            return Texts(len(value), ids=sum(map(len, value)))
    raise InvalidRequest(
        _("%(name)s must be a text, a list of tokens, or a list of at most %(most)d of these.")
        % {"name": name, "most": most},
        param=name,
    )


def _make_tokens_whole(value: Any) -> Any:
    """Return tokens such as 100.0 as integers, and every other value as it is."""
    if not (isinstance(value, list) and value):
        return value
    if isinstance(value[0], list):
        return [_make_tokens_whole(one) for one in value]
    if all(isinstance(one, float) and one.is_integer() for one in value):
        return list(map(int, value))
    return value


def count_bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _are_tokens(value: Any) -> TypeGuard[list[int]]:
    if not (isinstance(value, list) and value):
        return False
    return all(type(one) is int and 0 <= one <= MAX_TOKEN_ID for one in value)


def iterate_messages(body: Body, most: int) -> Iterator[tuple[str, Body]]:
    """Yield each message with its path in the body, such as `messages.0`.

    Raises InvalidRequest for a malformed message, and for more than `most` messages.
    """
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


def is_streamed(body: Body, stream: bool | None) -> bool:  # noqa: FBT001 – None: the body decides
    return (body.get("stream") or False) if stream is None else stream


def set_stream(body: Body, kept: Body, stream: bool | None) -> bool:  # noqa: FBT001 – see above
    """Write `stream` into `kept`, and for a stream the wish to get its usage at the end.

    Returns True if the caller asked for the usage chunk.
    """
    options = body.get("stream_options") or {}
    kept["stream"] = is_streamed(body, stream)
    if kept["stream"]:
        kept["stream_options"] = {**options, "include_usage": True}
    return options.get("include_usage") or False


def read_limit(body: Body, names: Iterable[str]) -> int | None:
    """Return the limit of the answer: the first of these members that is there; None without one.

    The names are those of all routes, because clients take one for the other.
    """
    for name in names:
        if (limit := body.get(name)) is not None:
            return int(limit)
    return None


def list_added(kept: Body) -> Body:
    """Return the `added` of a request: what `set_stream` wrote that a provider can do without.

    Without `stream` a provider sends JSON.
    """
    return {"stream_options": None} if kept["stream"] else {"stream": None}


def check_cache(block: Body, param: str) -> None:
    """Refuse a cache write that lasts for a time that no price is for.

    Raises InvalidRequest.
    """
    control = block.get("cache_control")
    if isinstance(control, dict) and control.get("ttl") not in CACHE_TIMES:
        name = f"{param}.cache_control.ttl".lstrip(".")
        raise InvalidRequest(
            _('%(param)s can only be "5m" or "1h" here.') % {"param": name},
            param=name,
        )


def build_unmeasured_refusal(param: str) -> InvalidRequest:
    return InvalidRequest(
        _(
            "%(param)s cannot be measured before it is sent. Send the content itself or its "
            "URL, not an ID."
        )
        % {"param": param},
        param=param,
    )


def build_unknown_type_refusal(param: str) -> InvalidRequest:
    return InvalidRequest(
        _("%(param)s has a type that this route does not support.") % {"param": param}, param=param
    )
