"""The parameters of a route, in one table that feeds the checks of a body and the OpenAPI document.

Checked is what this service acts on; any other parameter is the provider's to judge.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from llmproxy.routes.kinds import (
    BOOLEAN,
    STRING,
    Content,
    Integer,
    Kind,
    Number,
    Refused,
    Schema,
    StreamOptions,
    Strings,
    Tools,
    or_null,
)
from llmproxy.routes.request_body import Body, measured

MAX_CHOICES = 16
MAX_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """A member of a route's body. One without a kind is passed on unread, and not described.

    One that is not forwarded is refused, or written anew for the provider.
    """

    name: str
    kind: Kind | None = None
    description: str = ""
    is_forwarded: bool = True
    is_required: bool = False

    @property
    def is_checked(self) -> bool:
        return not isinstance(self.kind, Content | None)

    @property
    def is_described(self) -> bool:
        return not isinstance(self.kind, Refused | None)

    def schema(self) -> Schema:
        assert self.kind is not None  # the others are not described  # noqa: S101
        schema = self.kind.schema()
        described = {"description": self.description} if self.description else {}
        return (schema if self.is_required else or_null(schema)) | described


def refuse(words: str | Promise, *names: str) -> Iterable[Parameter]:
    return [Parameter(name, Refused(words), is_forwarded=False) for name in names]


def pass_on(names: str) -> Iterable[Parameter]:
    """Parameters, separated by blanks, that the provider alone judges."""
    return map(Parameter, names.split())


class Parameters:
    """The table of one route, in the order of its checks."""

    def __init__(self, *every: Parameter) -> None:
        self.described = [one for one in every if one.is_described]
        self.forwarded = frozenset(one.name for one in every if one.is_forwarded)
        self._checks = [(one.name, one.kind.check) for one in every if one.kind and one.is_checked]

    def check(self, body: Body) -> None:
        """Raise InvalidRequest for a member that is neither absent, null nor of its kind."""
        for name, check in self._checks:
            value = body.get(name)
            if value is not None:
                check(name, value)

    def select(self, body: Body) -> Body:
        """The members that a provider gets, checked to be nested no deeper than can be written."""
        kept = {name: value for name, value in body.items() if name in self.forwarded}
        measured(kept)
        return kept


# What several routes have alike.
LIMIT = Integer(1, MAX_TOKENS)
CHOICES = Integer(1, MAX_CHOICES)
MODEL = Parameter("model", STRING, "Without it the default model answers.")
STREAM = Parameter("stream", BOOLEAN)
STREAM_WITH_OPTIONS = (STREAM, Parameter("stream_options", StreamOptions(), is_forwarded=False))
SAMPLING = (Parameter("temperature", Number(0, 2)), Parameter("top_p", Number(0, 1)))
SAMPLING_WITH_PENALTIES = (
    *SAMPLING,
    Parameter("presence_penalty", Number(-2, 2)),
    Parameter("frequency_penalty", Number(-2, 2)),
    Parameter("stop", Strings()),
)
TOOLS = Parameter("tools", Tools(lambda kind: kind in ("function", "custom")))
UNMETERED = gettext_lazy("%(name)s is not available here, because its cost cannot be metered.")
