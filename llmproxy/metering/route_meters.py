"""The meters of the routes other than chat. Pure, like the meter in meter.py that they extend."""

from dataclasses import replace
from typing import Any

from llmproxy import lenient_json
from llmproxy.metering.meter import (
    Meter,
    Reading,
    clean_text,
    measure_text,
    parse_cache,
    parse_count,
    parse_counts,
    parse_detail,
)
from llmproxy.metering.pricing import Usage, estimated_tokens

Answer = dict[str, Any]


def records(value: Any) -> list[Answer]:
    """The objects in a list; empty for a value that is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class TextMeter(Meter):
    """Legacy completions: like chat, but the text is in the choice itself."""

    def inspect(self, answer: Answer) -> None:
        super().inspect(answer)
        for choice in records(answer.get("choices")):
            self.count_generated(choice.get("text"))


class EmbeddingsMeter(Meter):
    """Embeddings: only the prompt costs, and it was used if there is an answer."""

    is_answered = False

    def inspect(self, answer: Answer) -> None:
        super().inspect(answer)
        self.is_answered = self.is_answered or bool(answer.get("data"))

    def reading(self) -> Reading:
        if self.reported is None and self.is_answered:
            return Reading(Usage(self.prompt_estimate, 0), "estimated")
        return super().reading()


class ResponsesMeter(Meter):
    """OpenAI's Responses: a response object, or events of which the last contains it.

    Some providers send deltas, some send whole items, most send both. The larger of the two sums
    counts as generated.
    Source: OpenAI API reference, "Responses", "Streaming events".
    """

    item_bytes = 0

    def inspect(self, answer: Answer) -> None:
        kind = clean_text(answer.get("type"))
        if kind.endswith(".delta"):
            self.count_generated(answer.get("delta"))
        elif kind == "response.output_item.done":
            self._items([answer.get("item")])
        response = answer.get("response") if kind.startswith("response.") else answer
        if isinstance(response, dict):
            self._response(response)

    def _response(self, response: Answer) -> None:
        self.upstream_id = self.upstream_id or clean_text(response.get("id"))
        self.reported = parse_responses_usage(response.get("usage")) or self.reported
        status = clean_text(response.get("status"))
        if status not in ("", "queued", "in_progress"):
            details = response.get("incomplete_details")
            reason = clean_text(details.get("reason")) if isinstance(details, dict) else ""
            self.finish_reason = reason or status
        if not self.item_bytes:
            self._items(response.get("output"))

    def _items(self, items: Any) -> None:
        self.item_bytes += sum(map(_measure_item, records(items)))
        if self.item_bytes > self.generated_bytes:
            self.generated_bytes = self.item_bytes
            self.pieces += 1


def _measure_item(item: Answer) -> int:
    """The bytes in an item of `output` that the model generated."""
    parts = records(item.get("content")) + records(item.get("summary"))
    return measure_text([item.get(name) for name in ("name", "arguments", "input")]) + measure_text(
        [part.get(name) for part in parts for name in ("text", "refusal")]
    )


def parse_responses_usage(reported: Any) -> Usage | None:
    """The `usage` of the Responses API."""
    if (counts := parse_counts(reported, "input_tokens", "output_tokens")) is None:
        return None
    prompt, completion = counts
    cached, written = parse_cache(reported, "input_tokens_details", prompt)
    reasoning = min(parse_detail(reported, "output_tokens_details", "reasoning_tokens"), completion)
    return Usage(prompt, completion, cached, reasoning, written)


COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class MessagesMeter(Meter):
    """Anthropic's Messages: the first event has the prompt's count, a last one the completion's.

    Counts are cumulative, and some providers send zeros for counts that they do not know yet.
    Therefore the largest value of each is used.
    Source: Anthropic API reference, "Messages" and "Streaming messages".
    """

    def __init__(self, **bounds: int) -> None:
        super().__init__(**bounds)
        self.counts: dict[str, int] = {}
        self.thinking_tokens = 0

    def inspect(self, answer: Answer) -> None:
        match answer.get("type"):
            case "message":
                self._message(answer)
                for block in records(answer.get("content")):
                    self._block(block)
                self._end(answer)
            case "message_start" if isinstance(message := answer.get("message"), dict):
                self._message(message)
            case "content_block_start":
                self._block(answer.get("content_block"))
            case "content_block_delta":
                self._block(answer.get("delta"))
            case "message_delta":
                self._count(answer.get("usage"))
                self._end(answer.get("delta"))

    def reading(self) -> Reading:
        """For a truncated answer: the provider's prompt count and an estimate of the completion.

        Nothing if the provider failed before it generated text.
        """
        if self.reported or not self.counts or (self.is_broken and not self.generated_bytes):
            return super().reading()
        reported = self._sum_counts()
        prompt = reported.prompt_tokens if "input_tokens" in self.counts else self.prompt_estimate
        generated = max(estimated_tokens(self.generated_bytes), reported.completion_tokens)
        usage = replace(reported, prompt_tokens=prompt, completion_tokens=generated)
        return Reading(self._believed(usage).usage, "estimated")

    def _message(self, message: Answer) -> None:
        self.upstream_id = clean_text(message.get("id")) or self.upstream_id
        self._count(message.get("usage"))

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        for name in COUNTS:
            if (number := parse_count(usage.get(name))) is not None:
                self.counts[name] = max(number, self.counts.get(name, 0))
        thinking_tokens = parse_detail(usage, "output_tokens_details", "thinking_tokens")
        self.thinking_tokens = thinking_tokens or self.thinking_tokens

    def _block(self, block: Any) -> None:
        if isinstance(block, dict):
            arguments = lenient_json.encode(block["input"]).decode() if block.get("input") else None
            texts = (block.get(name) for name in ("text", "thinking", "partial_json", "name"))
            self.count_generated([arguments, *texts])

    def _end(self, message: Any) -> None:
        reason = clean_text(message.get("stop_reason")) if isinstance(message, dict) else ""
        self.finish_reason = reason or self.finish_reason
        if self.finish_reason and {"input_tokens", "output_tokens"} <= self.counts.keys():
            self.reported = self._sum_counts()

    def _sum_counts(self) -> Usage:
        """Anthropic's `input_tokens` exclude the tokens read from a cache or written to one."""
        plain, written, cached, completion = (self.counts.get(name, 0) for name in COUNTS)
        return Usage(
            plain + written + cached,
            completion,
            cached,
            min(self.thinking_tokens, completion),
            written,
        )
