"""How many tokens a request and its answer have: four bytes are a token, and a prompt that begins
as an earlier one is cached."""

import json
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tests.clients.mock.conversation import Said

BYTES_PER_TOKEN = 4
THOUGHT_TOKENS = 64
CACHED_FROM = 1024  # tokens; shorter prompts are not cached
CACHED_STEP = 128


@dataclass(frozen=True)
class Usage:
    """`prompt` includes `cached` and `written`; `completion` includes `reasoning`."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


def count_tokens(value: Any) -> int:
    """Return the tokens of a text, or of JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return max(1, -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN))


def count_said(said: Said) -> int:
    """Return the tokens of what the model said, without what it thought."""
    parts = [said.text, *(call.arguments for call in said.calls)]
    return sum(count_tokens(part) for part in parts if part) + len(said.calls) or 1


class Cache:
    """Which prompts were seen, by how they begin."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._lock = Lock()

    def look_up(self, key: str, prompt: int) -> int:
        """Return how many tokens of this prompt are cached, and remember the prompt."""
        with self._lock:
            seen, self._seen[key] = self._seen.get(key, 0), prompt
        cached = min(seen, prompt) // CACHED_STEP * CACHED_STEP
        return cached if cached >= CACHED_FROM else 0
