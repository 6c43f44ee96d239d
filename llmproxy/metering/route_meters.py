"""The meters of the routes other than chat. Pure, as the one in metering.py that they extend."""

from dataclasses import replace
from typing import Any

from llmproxy import lenient_json
from llmproxy.metering.meter import (
    Meter,
    Reading,
    cache_of,
    count,
    counts_of,
    detail,
    size_of,
    text,
)
from llmproxy.metering.pricing import Usage, estimated_tokens

Answer = dict[str, Any]


def records(value: Any) -> list[Answer]:
    """The objects in a list; none of anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class TextMeter(Meter):
    """Legacy completions: as chat, with the text in the choice itself."""

    def look(self, answer: Answer) -> None:
        super().look(answer)
        for choice in records(answer.get("choices")):
            self.generated(choice.get("text"))


class EmbeddingsMeter(Meter):
    """Embeddings: only the prompt costs, and once there is an answer, it was used."""

    is_answered = False

    def look(self, answer: Answer) -> None:
        super().look(answer)
        self.is_answered = self.is_answered or bool(answer.get("data"))

    def reading(self) -> Reading:
        if self.reported is None and self.is_answered:
            return Reading(Usage(self.prompt_estimate, 0), "estimated")
        return super().reading()


class ResponsesMeter(Meter):
    """OpenAI's Responses: the object, or events of which the last one has it.

    Some providers send deltas, some whole items, most both: the larger of the two was generated.
    Source: OpenAI API reference, "Responses", "Streaming events".
    """

    item_bytes = 0

    def look(self, answer: Answer) -> None:
        kind = text(answer.get("type"))
        if kind.endswith(".delta"):
            self.generated(answer.get("delta"))
        elif kind == "response.output_item.done":
            self._items([answer.get("item")])
        response = answer.get("response") if kind.startswith("response.") else answer
        if isinstance(response, dict):
            self._response(response)

    def _response(self, response: Answer) -> None:
        self.upstream_id = self.upstream_id or text(response.get("id"))
        self.reported = responses_usage(response.get("usage")) or self.reported
        status = text(response.get("status"))
        if status not in ("", "queued", "in_progress"):
            why = response.get("incomplete_details")
            self.finish_reason = (
                text(why.get("reason")) if isinstance(why, dict) else ""
            ) or status
        if not self.item_bytes:
            self._items(response.get("output"))

    def _items(self, items: Any) -> None:
        self.item_bytes += sum(map(_spoken, records(items)))
        if self.item_bytes > self.generated_bytes:
            self.generated_bytes = self.item_bytes
            self.pieces += 1


def _spoken(item: Answer) -> int:
    """Bytes of what the model wrote of an item of `output`."""
    parts = records(item.get("content")) + records(item.get("summary"))
    return size_of([item.get(name) for name in ("name", "arguments", "input")]) + size_of(
        [part.get(name) for part in parts for name in ("text", "refusal")]
    )


def responses_usage(reported: Any) -> Usage | None:
    """The `usage` of the Responses API."""
    if (counts := counts_of(reported, "input_tokens", "output_tokens")) is None:
        return None
    prompt, completion = counts
    cached, written = cache_of(reported, "input_tokens_details", prompt)
    reasoning = min(detail(reported, "output_tokens_details", "reasoning_tokens"), completion)
    return Usage(prompt, completion, cached, reasoning, written)


COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class MessagesMeter(Meter):
    """Anthropic's Messages: the prompt is known as the answer begins, the completion only as it ends.

    Counts are cumulative, and some providers put zeros where they know nothing: the largest of each is the one.
    Source: Anthropic API reference, "Messages" and "Streaming messages".
    """

    def __init__(self, **bounds: int) -> None:
        super().__init__(**bounds)
        self.counts: dict[str, int] = {}
        self.hidden = 0

    def look(self, answer: Answer) -> None:
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
        """Of an answer that was cut, the exact prompt and an estimate of the rest; of none by a failure, nothing."""
        if self.reported or not self.counts or (self.is_broken and not self.generated_bytes):
            return super().reading()
        told = self._told()
        prompt = told.prompt_tokens if "input_tokens" in self.counts else self.prompt_estimate
        generated = max(estimated_tokens(self.generated_bytes), told.completion_tokens)
        usage = replace(told, prompt_tokens=prompt, completion_tokens=generated)
        return Reading(self._believed(usage).usage, "estimated")

    def _message(self, message: Answer) -> None:
        self.upstream_id = text(message.get("id")) or self.upstream_id
        self._count(message.get("usage"))

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        for name in COUNTS:
            if (number := count(usage.get(name))) is not None:
                self.counts[name] = max(number, self.counts.get(name, 0))
        self.hidden = detail(usage, "output_tokens_details", "thinking_tokens") or self.hidden

    def _block(self, block: Any) -> None:
        if isinstance(block, dict):
            called = lenient_json.encode(block["input"]).decode() if block.get("input") else None
            self.generated(
                [
                    called,
                    *(block.get(name) for name in ("text", "thinking", "partial_json", "name")),
                ]
            )

    def _end(self, ended: Any) -> None:
        self.finish_reason = (
            text(ended.get("stop_reason")) if isinstance(ended, dict) else ""
        ) or self.finish_reason
        if self.finish_reason and {"input_tokens", "output_tokens"} <= self.counts.keys():
            self.reported = self._told()

    def _told(self) -> Usage:
        """`input_tokens` are those that were neither read from a cache nor written to one."""
        plain, written, cached, completion = (self.counts.get(name, 0) for name in COUNTS)
        return Usage(
            plain + written + cached, completion, cached, min(self.hidden, completion), written
        )
