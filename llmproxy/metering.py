"""The meter: watches an answer go by and knows what it used. Pure, no input or output of its own."""

from dataclasses import dataclass
from typing import Any

from llmproxy.pricing import Usage, estimated_tokens

PROMPT_SLACK_TOKENS = 50_000
MAX_DEPTH = 32
NOT_TEXT = frozenset({"role", "id", "type", "index"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used, and how that is known: `exact`, `capped`, `estimated` or `none`."""

    usage: Usage
    source: str


class Meter:
    """Feed it each decoded chunk of a stream, or the one JSON answer, in any number.

    `max_completion_tokens` is what the answer was allowed: nobody pays for more, whatever a provider
    sends or reports. Reported prompt tokens are believed up to a bound that images and tools stay below.
    """

    def __init__(self, *, prompt_bytes: int, max_completion_tokens: int) -> None:
        self.prompt_bytes = prompt_bytes
        self.max_completion_tokens = max_completion_tokens
        self.reported: Usage | None = None
        self.generated_bytes = 0
        self.upstream_id = ""
        self.finish_reason = ""

    def observe(self, answer: Any) -> None:
        """Take note of usage, text and finish reason; anything of another shape is not an answer."""
        if not isinstance(answer, dict):
            return
        self.reported = _usage(answer.get("usage")) or self.reported
        self.upstream_id = self.upstream_id or _text(answer.get("id"))
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
                self.generated_bytes += _size(choice.get("delta") or choice.get("message"))

    def reading(self) -> Reading:
        """The provider's own figure; without one an estimate of what went by; nothing for nothing."""
        if self.reported is not None:
            return self._believed(self.reported)
        if not self.generated_bytes:
            return Reading(Usage(0, 0), "none")
        generated = min(estimated_tokens(self.generated_bytes), self.max_completion_tokens)
        return Reading(Usage(estimated_tokens(self.prompt_bytes), generated), "estimated")

    def _believed(self, reported: Usage) -> Reading:
        prompt = min(reported.prompt_tokens, PROMPT_SLACK_TOKENS + 4 * self.prompt_bytes)
        completion = min(reported.completion_tokens, self.max_completion_tokens)
        believed = Usage(prompt, completion, min(reported.cached_tokens, prompt))
        return Reading(believed, "exact" if believed == reported else "capped")


def is_usage_only(chunk: Any) -> bool:
    """The chunk that `stream_options.include_usage` adds at the end: usage, and no choice."""
    return isinstance(chunk, dict) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)


def _usage(reported: Any) -> Usage | None:
    if not isinstance(reported, dict):
        return None
    prompt, completion = _count(reported.get("prompt_tokens")), _count(reported.get("completion_tokens"))
    if prompt is None and completion is None:
        return None
    details = reported.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(prompt or 0, completion or 0, min(cached or 0, prompt or 0))


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**40 else None


def _text(value: Any) -> str:
    return value.replace("\0", "")[:200] if isinstance(value, str) else ""


def _size(value: Any, depth: int = 0) -> int:
    """Bytes of generated text in a delta or message: content, reasoning, refusals, tool calls."""
    if depth > MAX_DEPTH:
        return 0
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(_size(inner, depth + 1) for name, inner in value.items() if name not in NOT_TEXT)
    return sum(_size(inner, depth + 1) for inner in value) if isinstance(value, list) else 0
