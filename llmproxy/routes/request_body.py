"""What the bodies of all routes have in common: bounded, parsed, and checked member by member.

Checked is what this service acts on; any other parameter is the provider's to judge.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.pricing import held_tokens

Kind = TypeVar("Kind")
Body = dict[str, Any]

MAX_PARTS = (
    200_000  # lists and objects, each of which takes a microsecond; those in texts count too
)
MAX_CHOICES = 16
MAX_TOKENS = 10_000_000
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


def only(body: Body, names: frozenset[str]) -> Body:
    """The members that a provider gets, checked to be nested no deeper than can be written."""
    kept = {name: value for name, value in body.items() if name in names}
    measured(kept)
    return kept


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
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(one) is int and 0 <= one < 2**31 for one in value)
    )


def stream_usage(body: Body, kept: Body, stream: bool | None) -> bool:  # noqa: FBT001 – None is the body's own wish
    """Put into `kept` whether to stream, with usage at the end; True if the caller wants to see that."""
    asked = flag(body, "stream") or False
    options = record(body, "stream_options") or {}
    include_usage = flag(options, "include_usage") or False
    kept["stream"] = asked if stream is None else stream
    if kept["stream"]:
        kept["stream_options"] = {**options, "include_usage": True}
    return include_usage


def refuse(body: Body, names: Iterable[str], words: str) -> None:
    """None of these members says anything. Raises InvalidRequest with `words` about `%(name)s`."""
    for name in names:
        if body.get(name):
            raise InvalidRequest(words % {"name": name}, param=name)


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


def check_tools(body: Body, is_callers: Callable[[Any], bool]) -> None:
    """All tools are such as the caller runs; those of a provider cost what no usage tells."""
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise InvalidRequest(_("%(name)s must be a list.") % {"name": "tools"}, param="tools")
    for index, tool in enumerate(tools or ()):
        param = f"tools.{index}"
        if not isinstance(tool, dict) or not is_callers(tool.get("type")):
            raise InvalidRequest(
                _("%(param)s is not a tool that you run yourself. Only such tools can be metered.")
                % {"param": param},
                param=param,
            )
        check_cache(tool, param)


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


KINDS = {
    str: gettext_lazy("a string"),
    bool: gettext_lazy("a boolean"),
    dict: gettext_lazy("an object"),
}


def typed(body: Body, name: str, kind: type[Kind]) -> Kind | None:
    """The member, of one of KINDS; None where it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(
            _("%(name)s must be %(kind)s.") % {"name": name, "kind": KINDS[kind]}, param=name
        )
    return value


def text(body: Body, name: str) -> str | None:
    return typed(body, name, str)


def flag(body: Body, name: str) -> bool | None:
    return typed(body, name, bool)


def record(body: Body, name: str) -> Body | None:
    return typed(body, name, dict)


def whole(body: Body, name: str, most: int, least: int = 1) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequest(
            _("%(name)s must be a whole number from %(least)d to %(most)d.")
            % {"name": name, "least": least, "most": most},
            param=name,
        )
    return int(value)


def check_ranges(body: Body, **ranges: tuple[int, int]) -> None:
    """Each named member is absent, null, or a number within its range."""
    for name, (low, high) in ranges.items():
        value = body.get(name)
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise InvalidRequest(
                _("%(name)s must be a number from %(low)d to %(high)d.")
                % {"name": name, "low": low, "high": high},
                param=name,
            )


def check_strings(body: Body, name: str) -> None:
    """The member is absent, null, a string or a list of strings."""
    value = body.get(name)
    listed = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(one, str) for one in listed):
        raise InvalidRequest(
            _("%(name)s must be a string or a list of strings.") % {"name": name}, param=name
        )
