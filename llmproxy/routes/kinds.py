"""The kinds of values that a parameter of a request body can have.

Each kind has a check and a JSON Schema.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes.request_body import MAX_TOKEN_ID, check_cache

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
TEXT: Schema = {"type": "string"}
TOKENS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "description": "A token.", "minimum": 0, "maximum": MAX_TOKEN_ID},
}
PART: Schema = {"type": "object", "properties": {"type": TEXT}, "required": ["type"]}
CONTENT: Schema = {"anyOf": [TEXT, NULL, {"type": "array", "items": PART}]}
MESSAGE: Schema = {
    "type": "object",
    "properties": {"role": TEXT, "content": CONTENT},
    "required": ["role"],
}


def describe_list(item: Schema, most: int) -> Schema:
    """Return the schema of a list of 1 to `most` items."""
    return {"type": "array", "minItems": 1, "maxItems": most, "items": item}


def describe_texts(most: int) -> Schema:
    """Return the schema of the values that `request_body.measure_texts` accepts."""
    return {"anyOf": [TEXT, TOKENS, describe_list(TEXT, most), describe_list(TOKENS, most)]}


def allow_null(schema: Schema) -> Schema:
    """Return the schema of a value that may also be null."""
    if "anyOf" in schema:
        return {"anyOf": [*(option for option in schema["anyOf"] if option != NULL), NULL]}
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


class Kind:
    """The values that a parameter can have."""

    def check(self, name: str, value: Any) -> None:
        """Raise InvalidRequest if `value`, which is not null, is not of this kind."""
        raise NotImplementedError

    def schema(self) -> Schema:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    lowest: int
    highest: int

    def check(self, name: str, value: Any) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not self.lowest <= value <= self.highest
        ):
            raise InvalidRequest(
                _("%(name)s must be a whole number from %(least)d to %(most)d.")
                % {"name": name, "least": self.lowest, "most": self.highest},
                param=name,
            )

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    lowest: int
    highest: int

    def check(self, name: str, value: Any) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.lowest <= value <= self.highest
        ):
            raise InvalidRequest(
                _("%(name)s must be a number from %(low)d to %(high)d.")
                % {"name": name, "low": self.lowest, "high": self.highest},
                param=name,
            )

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Typed(Kind):
    """Any value of one type: `type` is its name in JSON Schema, `label` its name for people."""

    python: type
    type: str
    label: str | Promise

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, self.python):
            raise InvalidRequest(
                _("%(name)s must be %(kind)s.") % {"name": name, "kind": self.label}, param=name
            )

    def schema(self) -> Schema:
        return {"type": self.type}


STRING = Typed(str, "string", gettext_lazy("a string"))
BOOLEAN = Typed(bool, "boolean", gettext_lazy("a boolean"))
OBJECT = Typed(dict, "object", gettext_lazy("an object"))


class Strings(Kind):
    """A string or a list of strings."""

    def check(self, name: str, value: Any) -> None:
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise InvalidRequest(
                _("%(name)s must be a string or a list of strings.") % {"name": name}, param=name
            )

    def schema(self) -> Schema:
        return {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of the strings `values`."""

    values: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        STRING.check(name, value)
        if value and value not in self.values:
            raise InvalidRequest(
                _("%(name)s must be one of %(values)s.")
                % {"name": name, "values": ", ".join(self.values)},
                param=name,
            )

    def schema(self) -> Schema:
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class StreamOptions(Kind):
    """OpenAI's `stream_options`. This service uses `include_usage` only."""

    def check(self, name: str, value: Any) -> None:
        OBJECT.check(name, value)
        if (include_usage := value.get("include_usage")) is not None:
            BOOLEAN.check("include_usage", include_usage)

    def schema(self) -> Schema:
        return {"type": "object", "properties": {"include_usage": allow_null(BOOLEAN.schema())}}


@dataclass(frozen=True, slots=True)
class Tools(Kind):
    """Tools that the caller runs. Tools that a provider runs are refused: usage hides their cost.

    `is_callers` returns True for the type of a tool that the caller runs.
    """

    is_callers: Callable[[Any], bool]

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, list):
            raise InvalidRequest(_("%(name)s must be a list.") % {"name": name}, param=name)
        for index, tool in enumerate(value):
            param = f"{name}.{index}"
            if not isinstance(tool, dict) or not self.is_callers(tool.get("type")):
                raise InvalidRequest(
                    _(
                        "%(param)s is not a tool that you run yourself. Only such tools can be "
                        "metered."
                    )
                    % {"param": param},
                    param=param,
                )
            check_cache(tool, param)

    def schema(self) -> Schema:
        return {
            "type": "array",
            "items": {"type": "object"},
            "description": "Tools that the caller runs. Tools of a provider are refused.",
        }


@dataclass(frozen=True, slots=True)
class Refused(Kind):
    """A parameter that is not offered. `message` says why, and contains `%(name)s`."""

    message: str | Promise

    def check(self, name: str, value: Any) -> None:
        if value:
            raise InvalidRequest(str(self.message) % {"name": name}, param=name)


@dataclass(frozen=True, slots=True)
class Content(Kind):
    """The content that the model reads. The route itself checks it when it measures the content."""

    described: Schema

    def schema(self) -> Schema:
        return self.described
