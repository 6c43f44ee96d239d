"""The meter counts the tokens that an answer uses while it passes. Pure: no input or output."""

from dataclasses import dataclass
from typing import Any

from llmproxy.metering import operator_costs, places, spellings, text, usage
from llmproxy.metering.generated_text import GeneratedText
from llmproxy.metering.pricing import Usage, estimated_tokens
from llmproxy.metering.spellings import Counts
from llmproxy.metering.usage import LONGEST_TOKEN, Estimates

# What a provider may add to a prompt: templates, prompts of its own, pages that a model found by
# itself (docs/decisions/0042-how-large-a-prompt-is-believed.md).
PROMPT_SLACK_TOKENS = 50_000
# Chunks without text are allowed too, but not without a limit.
CHUNKS_SLACK, CHUNKS_A_TOKEN = 10_000, 8
PLAIN_DELTA = frozenset({"role", "content"})
MEDIA = ("images", "image", "audio", "video", "files")


@dataclass(slots=True)
class Reading:
    """The tokens that were used, and how they are known.

    `source` is a Completion.UsageSource: `exact`, `capped`, `estimated` or `none`.
    """

    usage: Usage
    source: str


class Meter(GeneratedText):
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
        super().__init__(echoed_bytes)
        self.prompt_estimate = estimated_tokens(prompt_bytes) + media_tokens + prompt_ids
        self.certain_tokens = max(certain_tokens, prompt_bytes + prompt_ids)
        self.max_completion_tokens = max_completion_tokens
        self.counts: Counts = {}  # of each the largest that the provider has reported
        self.chunks = 0
        self.upstream_id = ""
        self.finish_reason = ""
        self.provider_cost: float | None = None  # in US dollars
        # There was something that callers do not get (operator_costs.py) in the last chunk.
        self.has_costs = False
        # A stream has not come to its end yet.
        self.is_whole = True
        # The provider failed. A prompt without an answer is then not charged.
        self.is_broken = False
        self._bytes_at_usage: int | None = None  # `generated_bytes` when the last usage came
        self._is_usage_closing = False  # the last usage came alone, after text
        self._most_empty_chunks = CHUNKS_SLACK + CHUNKS_A_TOKEN * max_completion_tokens
        self._most_bytes = LONGEST_TOKEN * (max_completion_tokens + 1)

    def observe(self, answer: Any) -> None:
        """Note usage, text and finish reason of a chunk; what is no object is only counted."""
        self.chunks += 1
        if isinstance(answer, dict):
            self.inspect(answer)

    def inspect(self, answer: dict[str, Any]) -> None:
        """Read one object of Chat Completions."""
        choices = answer.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._read_choice(choice)
        if not self.upstream_id:
            self.upstream_id = clean_text(answer.get("id"))
        if answer.get("usage") is not None or not places.PLAIN.issuperset(answer):
            self.read_usages(answer, is_closing=not choices)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        if (reason := choice.get("finish_reason")) is not None:
            self.finish_reason = clean_text(reason) or self.finish_reason
        self.read_content(choice)
        if (reported := choice.get("usage")) is not None:
            self.read_usages({"usage": reported})

    def read_content(self, choice: dict[str, Any]) -> None:
        """Count what was generated in a choice. A whole message may repeat all deltas (MiniMax)."""
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict):
            content = delta.get("content")
            if isinstance(content, str) and (PLAIN_DELTA.issuperset(delta) or not _has_more(delta)):
                self.count_text(content, choice.get("index"))
            else:
                self._read_delta(delta, choice.get("index"))
        if isinstance(message, dict):
            self.count_again([piece for _member, piece in text.find_texts(message)])
            self._look_for_more(message)
        elif not isinstance(delta, dict) and isinstance(piece := choice.get("text"), str):
            self.count_text(piece, choice.get("index"))

    def _read_delta(self, delta: dict[str, Any], index: Any) -> None:
        for member, piece in text.find_texts(delta):
            self.count_text(piece, index if member == "content" else f"{index} {member}")
        self._look_for_more(delta)

    def _look_for_more(self, message: dict[str, Any]) -> None:
        """Look for media and usage in a message or delta."""
        if not text.PLAIN.issuperset(message):
            self.has_media = self.has_media or any(message.get(name) for name in MEDIA)
            if (reported := message.get("usage")) is not None:
                self.read_usages({"usage": reported})
            self.read_costs(message)

    def read_usages(self, answer: dict[str, Any], *, is_closing: bool = False) -> None:
        """Note all usage in this object. `is_closing`: it is for the whole answer."""
        for reported in places.find_usages(answer):
            self.note_usage(reported, is_closing=is_closing)
        self.read_costs(answer)

    def read_costs(self, answer: dict[str, Any]) -> None:
        """Note what the operator pays, as far as it stands beside the usage."""
        for reported in operator_costs.find(answer):
            self._note_costs(reported)

    def _note_costs(self, reported: dict[str, Any]) -> None:
        self.has_costs = True
        usd = operator_costs.read_usd(reported)
        if usd is not None:
            self.provider_cost = max(usd, self.provider_cost or 0)

    def note_usage(self, reported: dict[str, Any], *, is_closing: bool = False) -> None:
        """Note one usage object. Usage before any text is not for the whole answer."""
        if operator_costs.is_among(reported):
            self._note_costs(reported)
        if counts := spellings.read_counts(reported):
            spellings.merge(self.counts, counts)
            self._bytes_at_usage = self.generated_bytes
            self._is_usage_closing = is_closing and self.has_answer

    @property
    def is_over_limit(self) -> bool:
        """Whether the answer is certainly longer than its limit: a token has LONGEST_TOKEN bytes.

        The number of pieces says nothing: a token may come in several, and several in one.
        """
        return (
            self.generated_bytes > self._most_bytes
            or self.chunks - self.texts > self._most_empty_chunks
        )

    @property
    def has_ended(self) -> bool:
        """Whether the provider has sent the answer to its end."""
        return self.is_whole

    @property
    def has_answer(self) -> bool:
        """Whether the provider has generated anything."""
        return self.generated_bytes > 0 or self.has_media

    @property
    def _is_usage_final(self) -> bool:
        """Whether the reported usage is that of the whole answer, not of a part of it."""
        if self._bytes_at_usage != self.generated_bytes:
            return False  # there was more text since then
        # An answer over its limit has the reason with which we ended it.
        has_reason = bool(self.finish_reason) and not self.is_over_limit
        return self.has_ended or has_reason or self._is_usage_closing

    def reading(self) -> Reading:
        """The usage that the provider reported; an estimate from the text for what it did not."""
        is_final, report = self._is_usage_final, self.interpret()
        if report is not None and report.is_zero:
            if is_final:
                return Reading(Usage(0, 0), "exact")
            report = None
        if not self.has_answer and (report is None or (self.is_broken and not is_final)):
            return Reading(Usage(0, 0), "none")
        estimates = self._estimate()
        if report is None:
            return Reading(Usage(estimates.prompt, estimates.completion), "estimated")
        used, is_estimated = usage.complete(report, self.counts, estimates, is_final=is_final)
        believed = self._bound(used)
        if is_estimated or not (is_final or self.has_ended):
            return Reading(believed, "estimated")
        return Reading(believed, "exact" if believed is used else "capped")

    def interpret(self) -> usage.Report | None:
        """The provider's report; None if it contains neither prompt nor completion."""
        report = usage.interpret(self.counts)
        is_empty = report.prompt is None and report.completion is None and report.total is None
        return None if is_empty else report

    def _estimate(self) -> Estimates:
        generated = max(self.generated_bytes, 0)
        return Estimates(
            prompt=self.prompt_estimate,
            completion=min(estimated_tokens(generated), self.max_completion_tokens),
            most_prompt=self.certain_tokens,
            text_bytes=generated,
        )

    def _bound(self, used: Usage) -> Usage:
        """The same usage, or one within what was held if no honest provider can report it.

        A prompt far beyond its bytes is a mistake of the provider: then only the bytes count.
        """
        prompt = used.prompt_tokens
        if prompt > PROMPT_SLACK_TOKENS + 4 * self.certain_tokens:
            prompt = self.certain_tokens
        completion = min(used.completion_tokens, self.max_completion_tokens)
        if (prompt, completion) == (used.prompt_tokens, used.completion_tokens):
            return used
        return used.bounded(prompt=prompt, completion=completion)


def _has_more(delta: dict[str, Any]) -> bool:
    """Whether a delta has more than content: many have other members, but empty."""
    for name, value in delta.items():  # noqa: SIM110 – `any` takes twice as long
        if value and name not in PLAIN_DELTA:
            return True
    return False


def is_usage_only(chunk: Any) -> bool:
    """Whether this is the chunk that `stream_options.include_usage` adds: usage, but no choice."""
    return (
        isinstance(chunk, dict)
        and chunk.get("choices") == []
        and isinstance(chunk.get("usage"), dict)
    )


def clean_text(value: Any, most: int = 200) -> str:
    """A provider's string as PostgreSQL can store it: no NUL, no lone surrogate, `most` characters.

    Empty for a value that is no string.
    """
    return (
        value.replace("\0", "")[:most].encode(errors="replace").decode()
        if isinstance(value, str)
        else ""
    )
