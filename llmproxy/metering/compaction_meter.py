"""The meter of `/v1/responses/compact`. Pure, like the meter that it extends."""

from llmproxy.metering.meter import Reading
from llmproxy.metering.pricing import Usage
from llmproxy.metering.route_meters import Answer, ResponsesMeter, records


class CompactionMeter(ResponsesMeter):
    """A compacted conversation: the messages that it repeats, and one item of ciphertext.

    Neither was generated as text. So without usage only the prompt is charged, if there is an
    answer. Source: OpenAI API reference, "The compacted response object".
    """

    is_answered = False

    def inspect(self, answer: Answer) -> None:
        output = records(answer.get("output"))
        self.is_answered = self.is_answered or bool(output)
        super().inspect(
            {**answer, "output": [item for item in output if item.get("type") != "message"]}
        )
        if self.is_answered:
            self.finish_reason = self.finish_reason or "completed"

    def reading(self) -> Reading:
        reading = super().reading()
        if self.is_answered and reading.source == "none":
            return Reading(Usage(self.prompt_estimate, 0), "estimated")
        return reading
