"""What a parameter of a request's body may be. Each kind has its check and its JSON Schema."""

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


def list_of(item: Schema, most: int) -> Schema:
    """A list of 1 to `most` items."""
    return {"type": "array", "minItems": 1, "maxItems": most, "items": item}


def texts(most: int) -> Schema:
    """What `request_body.texts` takes."""
    return {"anyOf": [TEXT, TOKENS, list_of(TEXT, most), list_of(TOKENS, most)]}


def or_null(schema: Schema) -> Schema:
    """The schema of a value that may be null too."""
    if "anyOf" in schema:
        return {"anyOf": [*(one for one in schema["anyOf"] if one != NULL), NULL]}
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


class Kind:
    """What the value of a parameter may be."""

    def check(self, name: str, value: Any) -> None:
        """Raise InvalidRequest for a value, which is not null, of another kind."""
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
    """Any value of one type, which JSON Schema calls `type` and people call `words`."""

    python: type
    type: str
    words: str | Promise

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, self.python):
            raise InvalidRequest(
                _("%(name)s must be %(kind)s.") % {"name": name, "kind": self.words}, param=name
            )

    def schema(self) -> Schema:
        return {"type": self.type}


STRING = Typed(str, "string", gettext_lazy("a string"))
BOOLEAN = Typed(bool, "boolean", gettext_lazy("a boolean"))
OBJECT = Typed(dict, "object", gettext_lazy("an object"))


class Strings(Kind):
    """A string or a list of strings."""

    def check(self, name: str, value: Any) -> None:
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in listed):
            raise InvalidRequest(
                _("%(name)s must be a string or a list of strings.") % {"name": name}, param=name
            )

    def schema(self) -> Schema:
        return {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of some strings."""

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
    """OpenAI's `stream_options`, of which we act on one."""

    def check(self, name: str, value: Any) -> None:
        OBJECT.check(name, value)
        if (include_usage := value.get("include_usage")) is not None:
            BOOLEAN.check("include_usage", include_usage)

    def schema(self) -> Schema:
        return {"type": "object", "properties": {"include_usage": or_null(BOOLEAN.schema())}}


@dataclass(frozen=True, slots=True)
class Tools(Kind):
    """Tools that the caller runs. A provider's own tools cost what no usage tells.

    `is_callers` judges the type of a tool.
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
                        "%(param)s is not a tool that you run yourself. Only such tools can be metered."
                    )
                    % {"param": param},
                    param=param,
                )
            check_cache(tool, param)

    def schema(self) -> Schema:
        return {
            "type": "array",
            "items": {"type": "object"},
            "description": "Such as the caller runs; those of a provider are refused.",
        }


@dataclass(frozen=True, slots=True)
class Refused(Kind):
    """A parameter that is not offered; `words` say why, about `%(name)s`."""

    words: str | Promise

    def check(self, name: str, value: Any) -> None:
        if value:
            raise InvalidRequest(str(self.words) % {"name": name}, param=name)


@dataclass(frozen=True, slots=True)
class Content(Kind):
    """What the model reads. The route checks it while it looks for images and counts bytes."""

    described: Schema

    def schema(self) -> Schema:
        return self.described
