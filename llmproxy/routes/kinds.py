"""The kinds of values that a parameter of a request body can have.

Each kind has a check and a JSON Schema.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy.exceptions import InvalidRequest
from llmproxy.routes.request_body import MAX_TOKEN_ID

Schema = dict[str, Any]

MAX_EXACT = 2.0**63

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

    def check(self, name: str, value: Any) -> Any:
        """Return the value to use for `value`, which is not null: mostly the same.

        Raises InvalidRequest if the value is not of this kind.
        """
        raise NotImplementedError

    def schema(self) -> Schema:
        raise NotImplementedError


def make_whole(value: Any) -> Any:
    """Return a number such as 100.0 as an int, and every other value as it is.

    JSON does not distinguish 100 from 100.0 (RFC 8259 §6); JavaScript and many stores of settings
    write the latter, and most providers refuse it.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT:
        return int(value)
    return value


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    lowest: int
    highest: int

    def check(self, name: str, value: Any) -> int:
        number = make_whole(value)
        if type(number) is not int or not self.lowest <= number <= self.highest:
            raise InvalidRequest(
                _("%(name)s must be a whole number from %(least)d to %(most)d.")
                % {"name": name, "least": self.lowest, "most": self.highest},
                param=name,
            )
        return number

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    lowest: int
    highest: int

    def check(self, name: str, value: Any) -> Any:
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
        return value

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Typed(Kind):
    """Any value of one type: `type` is its name in JSON Schema, `label` its name for people."""

    python: type
    type: str
    label: str | Promise

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, self.python):
            raise InvalidRequest(
                _("%(name)s must be %(kind)s.") % {"name": name, "kind": self.label}, param=name
            )
        return value

    def schema(self) -> Schema:
        return {"type": self.type}


STRING = Typed(str, "string", gettext_lazy("a string"))
BOOLEAN = Typed(bool, "boolean", gettext_lazy("a boolean"))
OBJECT = Typed(dict, "object", gettext_lazy("an object"))


class Strings(Kind):
    """A string or a list of strings."""

    def check(self, name: str, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise InvalidRequest(
                _("%(name)s must be a string or a list of strings.") % {"name": name}, param=name
            )
        return value

    def schema(self) -> Schema:
        return {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of the strings `values`."""

    values: tuple[str, ...]

    def check(self, name: str, value: Any) -> Any:
        STRING.check(name, value)
        if value and value not in self.values:
            raise InvalidRequest(
                _("%(name)s must be one of %(values)s.")
                % {"name": name, "values": ", ".join(self.values)},
                param=name,
            )
        return value

    def schema(self) -> Schema:
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class StreamOptions(Kind):
    """OpenAI's `stream_options`. This service uses `include_usage` only."""

    def check(self, name: str, value: Any) -> Any:
        OBJECT.check(name, value)
        if (include_usage := value.get("include_usage")) is not None:
            BOOLEAN.check("include_usage", include_usage)
        return value

    def schema(self) -> Schema:
        return {"type": "object", "properties": {"include_usage": allow_null(BOOLEAN.schema())}}


class Tools(Kind):
    """A list of tools. tools.py leaves out those that a provider would run."""

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, list):
            raise InvalidRequest(_("%(name)s must be a list.") % {"name": name}, param=name)
        for index, tool in enumerate(value):
            if not isinstance(tool, dict):
                raise build_malformed_tool_refusal(f"{name}.{index}")
        return value

    def schema(self) -> Schema:
        return {
            "type": "array",
            "items": {"type": "object"},
            "description": "Tools that the caller runs. Tools that a provider would run are left "
            "out, and named in `x-dropped-parameters`.",
        }


def build_malformed_tool_refusal(param: str) -> InvalidRequest:
    return InvalidRequest(
        _("%(param)s must be an object with the type of a tool.") % {"param": param}, param=param
    )


@dataclass(frozen=True, slots=True)
class Refused(Kind):
    """A parameter that is not offered, because an answer without it would be wrong.

    `message` says why, and contains `%(name)s`.
    """

    message: str | Promise

    def check(self, name: str, value: Any) -> Any:
        if value:
            raise InvalidRequest(str(self.message) % {"name": name}, param=name)
        return value


@dataclass(frozen=True, slots=True)
class Dropped(Kind):
    """A parameter that no provider gets. The caller is told its name.

    With false, an empty text or list, or a value in `harmless`, the caller asks for what happens
    anyway. An empty object is no such value: `web_search_options: {}` switches a search on.
    """

    harmless: tuple[Any, ...] = ()

    def check(self, name: str, value: Any) -> Any:
        return value

    def asks_for_more(self, value: Any) -> bool:
        """True if the value asks for something that does not happen here."""
        return not (value is False or value in ("", []) or value in self.harmless)


class Whole(Kind):
    """A number that a provider judges, and that is written as an integer where it is one."""

    def check(self, name: str, value: Any) -> Any:
        if isinstance(value, float) and abs(value) >= MAX_EXACT:
            # It was an integer beyond 64 bits, of which a float has lost the last digits.
            raise InvalidRequest(
                _("%(name)s is too large for a 64-bit integer.") % {"name": name}, param=name
            )
        return make_whole(value)


@dataclass(frozen=True, slots=True)
class Content(Kind):
    """The content that the model reads. The route itself checks it when it measures the content."""

    described: Schema

    def schema(self) -> Schema:
        return self.described
