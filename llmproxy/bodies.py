"""What the bodies of all routes have in common: bounded, parsed, and checked member by member.

Checked is what this service acts on; any other parameter is the provider's to judge.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.pricing import held_tokens

Kind = TypeVar("Kind")
Body = dict[str, Any]

MAX_PARTS = 200_000  # lists and objects, each of which takes a microsecond; those in texts count too
MAX_CHOICES = 16
MAX_TOKENS = 10_000_000


@dataclass(slots=True)
class Asked:
    """A valid request, whatever the route. `body` has only what a provider may get.

    `prompt_bytes` bounds the tokens of the prompt for certain, without those of the `images`, which are counted
    apart. `max_tokens` is the caller's own limit of the answer, None for the model's, 0 where the
    answer has no tokens. `limit` is how the route spells it, `choices` how many answers are asked for.
    """

    body: Body
    model: str | None
    stream: bool
    prompt_bytes: int
    limit: str = ""
    max_tokens: int | None = None
    choices: int = 1
    images: int = 0
    include_usage: bool = False

    @property
    def prompt_tokens(self) -> int:
        """A cautious estimate."""
        return held_tokens(self.prompt_bytes)

    def upstream_body(self, *, model: str, max_tokens: int) -> bytes:
        """What the provider gets: its name of the model, our limit, and usage always asked for."""
        self.body["model"] = model
        if self.limit:
            self.body[self.limit] = max_tokens
        return orjson.dumps(self.body)


def parsed(raw: bytes) -> Body:
    """The JSON object in `raw`. Raises InvalidRequest."""
    if raw.count(b"[") + raw.count(b"{") > MAX_PARTS:
        raise InvalidRequest(_("The body has too many lists and objects."))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(_("The body is not valid JSON: %(why)s.") % {"why": error}) from None
    if not isinstance(body, dict):
        raise InvalidRequest(_("The body must be a JSON object."))
    return body


def measured(*parts: Any) -> int:
    """The bytes of these parts as JSON. Raises InvalidRequest if they are nested too deeply."""
    try:
        return len(orjson.dumps(parts))  # it reads deeper than it writes
    except TypeError:
        raise InvalidRequest(_("The body is nested too deeply.")) from None


def only(body: Body, names: frozenset[str]) -> Body:
    """The members that a provider gets, checked to be nested no deeper than can be written."""
    kept = {name: value for name, value in body.items() if name in names}
    measured(kept)
    return kept


def typed(body: Body, name: str, kind: type[Kind], words: str) -> Kind | None:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(_("%(name)s must be %(kind)s.") % {"name": name, "kind": words}, param=name)
    return value


def text(body: Body, name: str) -> str | None:
    return typed(body, name, str, _("a string"))


def flag(body: Body, name: str) -> bool | None:
    return typed(body, name, bool, _("a boolean"))


def record(body: Body, name: str) -> Body | None:
    return typed(body, name, dict, _("an object"))


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
            isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high
        ):
            raise InvalidRequest(
                _("%(name)s must be a number from %(low)d to %(high)d.") % {"name": name, "low": low, "high": high},
                param=name,
            )


def check_strings(body: Body, name: str) -> None:
    """The member is absent, null, a string or a list of strings."""
    value = body.get(name)
    listed = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(one, str) for one in listed):
        raise InvalidRequest(_("%(name)s must be a string or a list of strings.") % {"name": name}, param=name)
