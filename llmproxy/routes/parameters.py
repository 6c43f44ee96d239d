"""The table of a route's parameters, from which come the checks and the OpenAPI document.

This service checks the parameters that it uses itself. The provider checks all others.
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
    Typed,
    allow_null,
)
from llmproxy.routes.request_body import Body, measure_json

MAX_CHOICES = 16
MAX_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """A member of a request body. Without a kind it is forwarded unchecked, and not described.

    A parameter that is not forwarded is refused, or the route writes it for the provider itself.
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
        assert self.kind is not None  # only a parameter with a kind is described  # noqa: S101
        schema = self.kind.schema()
        described = {"description": self.description} if self.description else {}
        return (schema if self.is_required else allow_null(schema)) | described


def refuse(message: str | Promise, *names: str) -> Iterable[Parameter]:
    return [Parameter(name, Refused(message), is_forwarded=False) for name in names]


def pass_on(names: str) -> Iterable[Parameter]:
    """Return the parameters, named in one text, that are forwarded without a check."""
    return map(Parameter, names.split())


class Parameters:
    """The table of one route, in the order in which its parameters are checked."""

    def __init__(self, *parameters: Parameter) -> None:
        self.described = [row for row in parameters if row.is_described]
        self.forwarded = frozenset(row.name for row in parameters if row.is_forwarded)
        self._checks = [
            # A value of the type that a Typed kind asks for needs no call of its check.
            (row.name, row.kind.python if isinstance(row.kind, Typed) else (), row.kind.check)
            for row in parameters
            if row.kind and row.is_checked
        ]

    def check(self, body: Body) -> None:
        """Raise InvalidRequest for a member that has a value other than null of the wrong kind."""
        for name, right_type, check in self._checks:
            value = body.get(name)
            if value is not None and not isinstance(value, right_type):
                check(name, value)

    def select(self, body: Body) -> Body:
        """Return the members that a provider gets. Raises InvalidRequest for deep nesting."""
        kept = {name: value for name, value in body.items() if name in self.forwarded}
        measure_json(kept)
        return kept


# Parameters that several routes have.
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
