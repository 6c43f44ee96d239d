"""The meter counts the tokens that an answer uses while it passes. Pure: no input or output."""

from dataclasses import dataclass
from typing import Any

from llmproxy.metering.pricing import Usage, estimated_tokens

PROMPT_SLACK_TOKENS = 50_000
PIECES_SLACK = 64
# Chunks without text are allowed too, but not without a limit.
CHUNKS_SLACK, CHUNKS_A_TOKEN = 10_000, 8
LONGEST_TOKEN = 64  # bytes; only runs of spaces are longer, and no answer consists of them
MAX_DEPTH = 32
NOT_TEXT = frozenset({"role", "id", "type", "index"})


@dataclass(frozen=True, slots=True)
class Reading:
    """The tokens that were used, and how they are known.

    `source` is a Completion.UsageSource: `exact`, `capped`, `estimated` or `none`.
    """

    usage: Usage
    source: str


class Meter:
    """Counts tokens in the decoded chunks of a stream, or in one JSON answer.

    `certain_tokens` is more than the prompt can have; `max_completion_tokens` is the limit of the
    answer. Nobody pays for more than these, whatever a provider sends or reports. Reported prompt
    tokens may exceed the prompt by a bound that covers tools and their templates. This class reads
    Chat Completions; a subclass for another dialect overrides `inspect`.
    """

    def __init__(
        self,
        *,
        prompt_bytes: int,
        max_completion_tokens: int,
        media_tokens: int = 0,
        prompt_ids: int = 0,
        echoed_bytes: int = 0,
        certain_tokens: int = 0,
    ) -> None:
        self.prompt_estimate = estimated_tokens(prompt_bytes) + media_tokens + prompt_ids
        self.certain_tokens = max(certain_tokens, prompt_bytes + prompt_ids)
        self.max_completion_tokens = max_completion_tokens
        self.reported: Usage | None = None
        self.generated_bytes = -echoed_bytes  # a prompt that is echoed was not generated
        self.pieces = 0
        self.answers = 0  # chunks, with or without text
        self.upstream_id = ""
        self.finish_reason = ""
        # The provider failed. A prompt without an answer is then not charged.
        self.is_broken = False

    def observe(self, answer: Any) -> None:
        """Note usage, text and finish reason of a chunk; what is no object is only counted."""
        self.answers += 1
        if isinstance(answer, dict):
            self.inspect(answer)

    def inspect(self, answer: dict[str, Any]) -> None:
        """Read one object of Chat Completions."""
        if (usage := answer.get("usage")) is not None:
            self.reported = parse_usage(usage) or self.reported
        self.upstream_id = self.upstream_id or clean_text(answer.get("id"))
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.finish_reason = clean_text(choice.get("finish_reason")) or self.finish_reason
                self.count_generated(choice.get("delta") or choice.get("message"))

    def count_generated(self, value: Any) -> None:
        """Count the text in a delta or message of any shape."""
        if size := measure_text(value):
            self.generated_bytes += size
            self.pieces += 1

    @property
    def is_over_limit(self) -> bool:
        """Whether the answer is certainly longer than its limit.

        A piece of text has one token at least, and a token has LONGEST_TOKEN bytes at most.
        """
        chunks = CHUNKS_SLACK + CHUNKS_A_TOKEN * self.max_completion_tokens
        pieces = self.max_completion_tokens + PIECES_SLACK
        return (
            self.answers > chunks
            or self.pieces > pieces
            or self.generated_bytes > LONGEST_TOKEN * pieces
        )

    def reading(self) -> Reading:
        """The usage that the provider reported, else an estimate from the text that passed."""
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
    """Whether this is the chunk that `stream_options.include_usage` adds: usage, but no choice."""
    return (
        isinstance(chunk, dict)
        and chunk.get("choices") == []
        and isinstance(chunk.get("usage"), dict)
    )


def parse_usage(reported: Any) -> Usage | None:
    """The `usage` of Chat Completions; None if it has neither count.

    Some providers count reasoning tokens outside `completion_tokens`; then `total_tokens` is the
    sum of all three, and reasoning is added to the completion.
    """
    if (counts := parse_counts(reported, "prompt_tokens", "completion_tokens")) is None:
        return None
    prompt, completion = counts
    reasoning = parse_detail(reported, "completion_tokens_details", "reasoning_tokens")
    if reasoning and parse_count(reported.get("total_tokens")) == prompt + completion + reasoning:
        completion += reasoning
    cached, written = parse_cache(reported, "prompt_tokens_details", prompt)
    return Usage(prompt, completion, cached, min(reasoning, completion), written)


def parse_counts(reported: Any, prompt: str, completion: str) -> tuple[int, int] | None:
    """The counts of prompt and completion under these names; 0 for one that is missing.

    None if both are missing.
    """
    if not isinstance(reported, dict):
        return None
    prompt_tokens = parse_count(reported.get(prompt))
    completion_tokens = parse_count(reported.get(completion))
    if prompt_tokens is None and completion_tokens is None:
        return None
    return prompt_tokens or 0, completion_tokens or 0


def parse_cache(reported: dict[str, Any], group: str, prompt: int) -> tuple[int, int]:
    """The tokens of a prompt that were read from a cache, and those written to a cache."""
    cached = min(parse_detail(reported, group, "cached_tokens"), prompt)
    return cached, min(parse_detail(reported, group, "cache_write_tokens"), prompt - cached)


def parse_detail(reported: dict[str, Any], group: str, name: str) -> int:
    """A count in the object `group`, such as `prompt_tokens_details`; 0 if it is missing."""
    details = reported.get(group)
    return (parse_count(details.get(name)) if isinstance(details, dict) else None) or 0


def parse_count(value: Any) -> int | None:
    """The value if it is a count that a column can hold, else None."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and 0 <= value < 2**40 else None


def clean_text(value: Any, most: int = 200) -> str:
    """A provider's string as PostgreSQL can store it: no NUL, no lone surrogate, `most` characters.

    Empty for a value that is no string.
    """
    return (
        value.replace("\0", "")[:most].encode(errors="replace").decode()
        if isinstance(value, str)
        else ""
    )


def measure_text(value: Any, depth: int = 0) -> int:
    """The bytes of generated text in a delta or message, reasoning and tool calls included."""
    if depth > MAX_DEPTH:
        return 0
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(
            measure_text(inner, depth + 1) for name, inner in value.items() if name not in NOT_TEXT
        )
    return sum(measure_text(inner, depth + 1) for inner in value) if isinstance(value, list) else 0
