"""What a request of any dialect asks for, and what the model says to it."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tool:
    """A tool that the caller runs. A `custom` tool takes a text, a `function` takes arguments."""

    name: str
    schema: dict[str, Any] = field(default_factory=dict)
    kind: str = "function"
    namespace: str = ""


@dataclass(frozen=True)
class Call:
    """A call of a tool. `arguments` is a text for a `custom` tool."""

    id: str
    tool: Tool
    arguments: Any


@dataclass
class Conversation:
    """One request.

    * `texts`: what the user and the system said; the last turn of the user begins at `turn`.
    * `results`: what the tools answered since the user last said something; `earlier` has what they
      answered before.
    * `choice`: `auto`, `none`, `required`, or the name of the tool that has to be called.
    * `schema`: the JSON schema of the answer, `{}` for any JSON, None for a text.
    * `limit`: the most tokens of the answer.
    * `thinks`: True if the answer shows a part that is thought.
    """

    model: str
    tools: list[Tool] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    turn: int = 0
    results: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    choice: str = "auto"
    schema: dict[str, Any] | None = None
    limit: int | None = None
    thinks: bool = False

    def begin_turn(self) -> None:
        """Begin a turn of the user: what the tools answered belongs to earlier ones."""
        self.earlier += self.results
        self.results, self.turn = [], len(self.texts)

    @property
    def last_turn(self) -> str:
        """What the user said last."""
        return "\n".join(self.texts[self.turn :])

    def find_tool(self, *names: str) -> Tool | None:
        """Return the first tool that has one of these names, in the order of the names."""
        by_name = {tool.name.lower(): tool for tool in self.tools}
        return next((by_name[name] for name in names if name in by_name), None)


@dataclass(frozen=True)
class Said:
    """What the model says: thoughts, a text, calls of tools."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    thoughts: str = ""


def read_text(content: Any) -> str:
    """Return the text of a content that is a text or a list of parts."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content)
    return content or ""


def write_arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
