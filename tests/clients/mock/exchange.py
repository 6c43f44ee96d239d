"""A request, its answer, and what the provider remembers between requests."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.clients.mock.usage import Cache, Usage


@dataclass(frozen=True)
class Memory:
    """`stored` has the items of stored responses by their ids."""

    cache: Cache = field(default_factory=Cache)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One HTTP request. The names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def is_anthropic(self) -> bool:
        return self.path.startswith("/v1/messages") or "anthropic-version" in self.headers


@dataclass
class Answer:
    """An answer in JSON, or as events: pairs of a name, which may be empty, and data."""

    body: dict[str, Any] = field(default_factory=dict)
    events: Iterator[tuple[str, Any]] | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    usage: Usage | None = None
    id: str = ""
