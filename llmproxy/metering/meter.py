"""The meter: watches an answer go by and knows what it used. Pure, no input or output of its own."""

from dataclasses import dataclass
from typing import Any

from llmproxy.metering.pricing import Usage, estimated_tokens

PROMPT_SLACK_TOKENS = 50_000
IMAGE_TOKENS = 85  # the least that an image costs at OpenAI, for an estimate that is charged
PIECES_SLACK = 64
# Chunks without text come besides, but not without end.
CHUNKS_SLACK, CHUNKS_A_TOKEN = 10_000, 8
LONGEST_TOKEN = 64  # bytes: vocabularies have longer runs of spaces, which no answer consists of
MAX_DEPTH = 32
NOT_TEXT = frozenset({"role", "id", "type", "index"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was used, and how that is known: `exact`, `capped`, `estimated` or `none`."""

    usage: Usage
    source: str


class Meter:
    """Feed it each decoded chunk of a stream, or the one JSON answer, in any number.

    `certain_tokens` bounds the prompt, `max_completion_tokens` is what the answer was allowed: nobody pays for
    more, whatever a provider sends or reports. Reported prompt tokens are believed up to a bound that tools
    and their templates stay below. This one reads Chat Completions; others say what they `look` at.
    """

    def __init__(
        self,
        *,
        prompt_bytes: int,
        max_completion_tokens: int,
        images: int = 0,
        prompt_ids: int = 0,
        echoed_bytes: int = 0,
        certain_tokens: int = 0,
    ) -> None:
        self.prompt_estimate = estimated_tokens(prompt_bytes) + images * IMAGE_TOKENS + prompt_ids
        self.certain_tokens = max(certain_tokens, prompt_bytes + prompt_ids)
        self.max_completion_tokens = max_completion_tokens
        self.reported: Usage | None = None
        self.generated_bytes = -echoed_bytes  # they go by, but nobody generated them
        self.pieces = 0
        self.answers = 0  # chunks, with or without text
        self.upstream_id = ""
        self.finish_reason = ""
        self.is_broken = (
            False  # the provider failed; a prompt without an answer is then not charged
        )

    def observe(self, answer: Any) -> None:
        """Take note of usage, text and finish reason; anything of another shape is not an answer."""
        self.answers += 1
        if isinstance(answer, dict):
            self.look(answer)

    def look(self, answer: dict[str, Any]) -> None:
        if (usage := answer.get("usage")) is not None:
            self.reported = usage_of(usage) or self.reported
        self.upstream_id = self.upstream_id or text(answer.get("id"))
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.finish_reason = text(choice.get("finish_reason")) or self.finish_reason
                self.generated(choice.get("delta") or choice.get("message"))

    def generated(self, value: Any) -> None:
        """Count the text in a piece of the answer, whatever its shape."""
        if size := size_of(value):
            self.generated_bytes += size
            self.pieces += 1

    @property
    def is_beyond(self) -> bool:
        """Whether more has come than was allowed, for certain: a piece is a token or more, and few are so long."""
        most = self.max_completion_tokens
        if self.answers > CHUNKS_SLACK + CHUNKS_A_TOKEN * most:
            return True
        return self.pieces > most + PIECES_SLACK or self.generated_bytes > LONGEST_TOKEN * (
            most + PIECES_SLACK
        )

    def reading(self) -> Reading:
        """The provider's own figure; without one an estimate of what went by; nothing for nothing."""
        if self.reported is not None:
            return self._believed(self.reported)
        if self.generated_bytes <= 0:
            return Reading(Usage(0, 0), "none")
        generated = min(estimated_tokens(self.generated_bytes), self.max_completion_tokens)
        return Reading(Usage(self.prompt_estimate, generated), "estimated")

    def _believed(self, reported: Usage) -> Reading:
        prompt = min(reported.prompt_tokens, PROMPT_SLACK_TOKENS + 4 * self.certain_tokens)
        completion = min(reported.completion_tokens, self.max_completion_tokens)
        believed = reported.bounded(prompt=prompt, completion=completion)
        return Reading(believed, "exact" if believed == reported else "capped")


def is_usage_only(chunk: Any) -> bool:
    """The chunk that `stream_options.include_usage` adds at the end: usage, and no choice."""
    return (
        isinstance(chunk, dict)
        and chunk.get("choices") == []
        and isinstance(chunk.get("usage"), dict)
    )


def usage_of(reported: Any) -> Usage | None:
    """The `usage` of Chat Completions. Some providers count reasoning besides the completion: the total tells."""
    if (counts := counts_of(reported, "prompt_tokens", "completion_tokens")) is None:
        return None
    prompt, completion = counts
    reasoning = detail(reported, "completion_tokens_details", "reasoning_tokens")
    if reasoning and count(reported.get("total_tokens")) == prompt + completion + reasoning:
        completion += reasoning
    cached, written = cache_of(reported, "prompt_tokens_details", prompt)
    return Usage(prompt, completion, cached, min(reasoning, completion), written)


def counts_of(reported: Any, prompt: str, completion: str) -> tuple[int, int] | None:
    """The tokens of prompt and completion under these names.

    0 stands for the one that is missing; None is returned if both are.
    """
    if not isinstance(reported, dict):
        return None
    prompt_tokens, completion_tokens = count(reported.get(prompt)), count(reported.get(completion))
    if prompt_tokens is None and completion_tokens is None:
        return None
    return prompt_tokens or 0, completion_tokens or 0


def cache_of(reported: dict[str, Any], group: str, prompt: int) -> tuple[int, int]:
    """The tokens of a prompt that were read from a cache, and those that were written to one."""
    cached = min(detail(reported, group, "cached_tokens"), prompt)
    return cached, min(detail(reported, group, "cache_write_tokens"), prompt - cached)


def detail(reported: dict[str, Any], group: str, name: str) -> int:
    """A number that says more of another; 0 where there is none."""
    details = reported.get(group)
    return (count(details.get(name)) if isinstance(details, dict) else None) or 0


def count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**40 else None


def text(value: Any, most: int = 200) -> str:
    """What a row can hold of a provider's string: no NUL, and no half of a character."""
    return (
        value.replace("\0", "")[:most].encode(errors="replace").decode()
        if isinstance(value, str)
        else ""
    )


def size_of(value: Any, depth: int = 0) -> int:
    """Bytes of generated text in a delta or message: content, reasoning, refusals, tool calls."""
    if depth > MAX_DEPTH:
        return 0
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(
            size_of(inner, depth + 1) for name, inner in value.items() if name not in NOT_TEXT
        )
    return sum(size_of(inner, depth + 1) for inner in value) if isinstance(value, list) else 0
