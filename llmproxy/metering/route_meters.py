"""The meters of the routes other than chat. Pure, like the meter in meter.py that they extend."""

from typing import Any

from llmproxy.metering import places, text, usage
from llmproxy.metering.meter import Meter, clean_text

Answer = dict[str, Any]


def records(value: Any) -> list[Answer]:
    """The objects in a list; empty for a value that is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class TextMeter(Meter):
    """Legacy completions: like chat, but the text is in the choice itself."""

    def read_content(self, choice: Answer) -> None:
        if isinstance(piece := choice.get("text"), str):
            self.count_text(piece, choice.get("index"))
        else:
            super().read_content(choice)


class EmbeddingsMeter(Meter):
    """Embeddings: only the prompt costs, and it was used if there is an answer."""

    has_vectors = False

    def inspect(self, answer: Answer) -> None:
        super().inspect(answer)
        self.has_vectors = self.has_vectors or bool(answer.get("data"))

    @property
    def has_answer(self) -> bool:
        return self.has_vectors

    def interpret(self) -> usage.Report | None:
        """The provider's report. Many report only a total: it is that of the prompt."""
        report = super().interpret()
        if report is not None:
            if report.total is not None and not report.prompt:
                report.prompt = report.total
            report.completion = report.completion if self.counts.get("completion_tokens") else 0
        return report


# Events of a response that contain a piece of generated text.
DELTAS = frozenset(
    f"response.{kind}.delta"
    for kind in """
        output_text refusal text reasoning_text reasoning_summary_text reasoning
        reasoning_summary function_call_arguments custom_tool_call_input mcp_call_arguments
        code_interpreter_call_code output_audio_transcript audio_transcript audio.transcript
    """.split()  # noqa: SIM905
)
WHOLE_TEXTS = frozenset(kind.removesuffix("delta") + "done" for kind in DELTAS)
OF_WHOLE_TEXT = ("text", "refusal", "arguments", "input", "code", "transcript")
OF_ITEM = ("name", "arguments", "input", "code")
RUNNING = ("", "queued", "in_progress")


class ResponsesMeter(Meter):
    """OpenAI's Responses: a response object, or events of which the last contains it.

    Some providers send deltas, some send whole texts or items, most send all of them. The largest
    of the sums counts as generated.
    Source: OpenAI API reference, "Responses", "Streaming events".
    """

    has_items = False

    def inspect(self, answer: Answer) -> None:
        kind = answer.get("type")
        if not isinstance(kind, str):
            self._read_response(answer)
        elif kind in DELTAS:
            self._read_delta_event(answer, kind)
        elif kind in WHOLE_TEXTS:
            self.count_again(
                [piece for name in OF_WHOLE_TEXT if isinstance(piece := answer.get(name), str)],
                "texts",
            )
        elif kind == "response.output_item.done":
            self._read_items([answer.get("item")], "items")
            self.has_items = True
        response = answer.get("response")
        if isinstance(response, dict) and isinstance(kind, str) and kind.startswith("response."):
            self._read_response(response)
        if answer.get("usage") is not None:
            self._read_own_usages(answer)

    def _read_delta_event(self, event: Answer, kind: str) -> None:
        delta = event.get("delta")
        if isinstance(delta, str):
            self.count_text(delta, kind)
        elif isinstance(delta, dict):
            for _member, piece in text.find_texts(delta):
                self.count_text(piece, kind)

    def _read_response(self, response: Answer) -> None:
        if not self.upstream_id:
            self.upstream_id = clean_text(response.get("id"))
        status = clean_text(response.get("status"))
        if status not in RUNNING:
            details = response.get("incomplete_details")
            reason = clean_text(details.get("reason")) if isinstance(details, dict) else ""
            self.finish_reason = reason or status
        if not self.has_items:
            self._read_items(response.get("output"), "output")
        self._read_own_usages(response)

    def _read_own_usages(self, answer: Answer) -> None:
        """Note the usage of a response. Its other members may repeat the request."""
        for reported in places.list_own_usages(answer):
            self.note_usage(reported)
        self.read_costs(answer)

    def _read_items(self, items: Any, source: str) -> None:
        found = records(items)
        self.count_again([piece for item in found for piece in _list_item_texts(item)], source)
        self.has_media = self.has_media or any(
            item.get("type") == "image_generation_call" and item.get("result") for item in found
        )


def _list_item_texts(item: Answer) -> list[str]:
    """The texts in an item of `output` that the model generated."""
    texts = text.list_call_texts(item)
    if isinstance(code := item.get("code"), str):
        texts.append(code)
    for part in records(item.get("content")) + records(item.get("summary")):
        texts += [piece for _member, piece in text.find_texts({"content": [part]})]
    return texts


class MessagesMeter(Meter):
    """Anthropic's Messages: the first event has the prompt's count, a last one the completion's.

    Counts are cumulative. Some providers send zeros for counts that they do not know yet, and some
    add the usage so far to each delta.
    Source: Anthropic API reference, "Messages" and "Streaming messages".
    """

    has_begun = False  # a stream, which ends with a reason

    @property
    def has_ended(self) -> bool:
        return self.is_whole and (bool(self.finish_reason) or not self.has_begun)

    def inspect(self, answer: Answer) -> None:
        match answer.get("type"):
            case "content_block_delta":
                self._read_block(answer.get("delta"), answer.get("index"))
            case "message":
                self._read_message(answer)
                for block in records(answer.get("content")):
                    self._read_block(block, None)
                self._read_end(answer)
            case "message_start" if isinstance(message := answer.get("message"), dict):
                self.has_begun = True
                self._read_message(message)
                self.read_usages(message)
            case "content_block_start":
                self._read_block(answer.get("content_block"), answer.get("index"))
            case "message_delta":
                self._read_end(answer.get("delta"))
        if answer.get("usage") is not None or not places.PLAIN_EVENT.issuperset(answer):
            self.read_usages(answer)

    def _read_message(self, message: Answer) -> None:
        self.upstream_id = clean_text(message.get("id")) or self.upstream_id

    def _read_block(self, block: Any, index: Any) -> None:
        """Count a content block, or a delta of one."""
        if not isinstance(block, dict):
            return
        for name in ("text", "thinking", "partial_json"):
            if isinstance(piece := block.get(name), str):
                self.count_text(piece, index)
        for piece in text.list_call_texts(block):
            self.count_text(piece, f"{index} call")
        kind = block.get("type")
        if kind in ("compaction", "compaction_delta") and isinstance(block.get("content"), str):
            self.count_text(block["content"], index)

    def _read_end(self, message: Any) -> None:
        reason = clean_text(message.get("stop_reason")) if isinstance(message, dict) else ""
        self.finish_reason = reason or self.finish_reason
