"""The table of a route's parameters: from it come the checks, the OpenAPI document and a page.

Every parameter has one of four treatments (docs/parameters.md). This service checks the parameters
that it uses itself. The provider checks all others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from llmproxy.routes.kinds import (
    BOOLEAN,
    STRING,
    Content,
    Dropped,
    Integer,
    Kind,
    Number,
    Refused,
    Schema,
    StreamOptions,
    Strings,
    Tools,
    Typed,
    Whole,
    allow_null,
)
from llmproxy.routes.request_body import Body, measure_json

MAX_CHOICES = 16
MAX_TOKENS = 10_000_000


class Treatment(StrEnum):
    """What happens to a parameter of a request."""

    UNDERSTOOD = "understood"
    FORWARDED = "forwarded"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A member of a request body. Without a kind it is forwarded unchecked, and not described.

    A parameter that is not forwarded is refused or dropped, or the route writes it for the provider
    itself. `reason` explains the treatment of a parameter that this service does not use.
    """

    name: str
    kind: Kind | None = None
    description: str = ""
    is_forwarded: bool = True
    is_required: bool = False
    reason: str = ""

    @property
    def is_checked(self) -> bool:
        return not isinstance(self.kind, Content | Dropped | None)

    @property
    def is_described(self) -> bool:
        return self.treatment is Treatment.UNDERSTOOD

    @property
    def treatment(self) -> Treatment:
        match self.kind:
            case Refused():
                return Treatment.REFUSED
            case Dropped():
                return Treatment.DROPPED
            case None | Whole():
                return Treatment.FORWARDED
        return Treatment.UNDERSTOOD

    def schema(self) -> Schema:
        assert self.kind is not None  # only a parameter with a kind is described  # noqa: S101
        schema = self.kind.schema()
        described = {"description": self.description} if self.description else {}
        return (schema if self.is_required else allow_null(schema)) | described


def refuse(message: str | Promise, names: str, reason: str) -> Iterable[Parameter]:
    """Return the parameters, named in one text, without which an answer would be wrong."""
    for name in names.split():
        yield Parameter(name, Refused(message), is_forwarded=False, reason=reason)


def drop(reason: str, names: str, *harmless: Any) -> Iterable[Parameter]:
    """Return the parameters, named in one text, that no provider gets.

    The caller is told the names, except with a value in `harmless`, which asks for nothing.
    """
    for name in names.split():
        yield Parameter(name, Dropped(harmless), is_forwarded=False, reason=reason)


def forward(reason: str, names: str = "", *, whole: str = "") -> Iterable[Parameter]:
    """Return the parameters, named in two texts, that are forwarded without a check.

    Those in `whole` are numbers, and 40.0 becomes 40.
    """
    for name in names.split():
        yield Parameter(name, reason=reason)
    for name in whole.split():
        yield Parameter(name, Whole(), reason=reason)


@dataclass(slots=True)
class Selection:
    """The members of a request body by what happens to them.

    A provider gets `kept`, and `unknown` if the operator says so for that provider. `dropped` has
    the names of those that no provider gets.
    """

    kept: Body
    unknown: Body
    dropped: list[str]


class Parameters:
    """The table of one route.

    If several rows have one name, the first counts: a route may override a row of a common group.
    """

    def __init__(self, *rows: Parameter) -> None:
        parameters = list({row.name: row for row in reversed(rows)}.values())[::-1]
        self.rows = parameters
        self.described = [row for row in parameters if row.is_described]
        self.forwarded = frozenset(row.name for row in parameters if row.is_forwarded)
        self._contents = frozenset(row.name for row in parameters if isinstance(row.kind, Content))
        self._dropped = {row.name: row.kind for row in parameters if isinstance(row.kind, Dropped)}
        self._known = frozenset(row.name for row in parameters)
        self._written_by_route = self._known - self.forwarded - self._dropped.keys()
        self._checks = {
            # A value of the type that a Typed kind asks for needs no call of its check.
            row.name: (row.kind.python if isinstance(row.kind, Typed) else (), row.kind.check)
            for row in parameters
            if row.kind and row.is_checked
        }

    def check(self, body: Body) -> None:
        """Check the members that have a value other than null, and write 100.0 as 100.

        Raises InvalidRequest for a value of the wrong kind.
        """
        for name, value in body.items():
            if value is not None and (checked := self._checks.get(name)):
                right_type, check = checked
                if not isinstance(value, right_type):
                    body[name] = check(name, value)

    def select(self, body: Body) -> Selection:
        """Sort the members by what happens to them. Raises InvalidRequest for deep nesting."""
        selection = Selection({}, {}, [])
        nested = []
        for name, value in body.items():
            if isinstance(value, dict | list) and name not in self._contents:
                nested.append(value)  # the route measures its contents itself
            if name in self.forwarded:
                selection.kept[name] = value
            elif value is not None and name not in self._written_by_route:
                self._leave_out(name, value, selection)
        if nested:
            measure_json(nested)
        return selection

    def _leave_out(self, name: str, value: Any, selection: Selection) -> None:
        if name not in self._known:
            selection.unknown[name] = value
        elif self._dropped[name].asks_for_more(value):
            selection.dropped.append(name)


# Parameters that several routes have.
LIMIT = Integer(1, MAX_TOKENS)
CHOICES = Integer(1, MAX_CHOICES)


def limits(*names: str) -> Iterable[Parameter]:
    """Return the names that other routes have for the limit of the answer, which are taken too."""
    for name in names:
        yield Parameter(name, LIMIT, "The limit, by the name of another route.", is_forwarded=False)


MODEL = Parameter("model", STRING, "Without it, or if it is empty, the default model answers.")
STREAM = Parameter("stream", BOOLEAN)
STREAM_WITH_OPTIONS = (STREAM, Parameter("stream_options", StreamOptions(), is_forwarded=False))
SAMPLING = (Parameter("temperature", Number(0, 2)), Parameter("top_p", Number(0, 1)))
SAMPLING_WITH_PENALTIES = (
    *SAMPLING,
    Parameter("presence_penalty", Number(-2, 2)),
    Parameter("frequency_penalty", Number(-2, 2)),
    Parameter("stop", Strings()),
)
TOOLS = Parameter("tools", Tools())
UNMETERED = gettext_lazy("%(name)s is not available here, because its cost cannot be metered.")
