"""`/v1/completions`: the model continues a text.

Source: OpenAI API reference, "Create completion" (legacy).
"""

from llmproxy.metering.route_meters import TextMeter
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.chat import Chunks
from llmproxy.routes.request_body import Body, CompletionRequest
from llmproxy.routes.tables.text import DEFAULT_MAX_TOKENS, LIMITS, MAX_PROMPTS, PARAMETERS

ECHOED_BYTES_PER_TOKEN = 4


class Text(Route):
    endpoint = Endpoint.TEXT
    member = "choices"
    meter = TextMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        prompts = request_body.measure_texts(body, "prompt", MAX_PROMPTS)
        selection = PARAMETERS.select(body)
        kept = selection.kept
        include_usage = request_body.set_stream(body, kept, stream)
        choices = body.get("n") or 1
        echoed = prompts.size + ECHOED_BYTES_PER_TOKEN * prompts.ids if body.get("echo") else 0
        return CompletionRequest(
            body=kept,
            model=body.get("model") or None,
            stream=kept["stream"],
            prompt_bytes=prompts.size + request_body.count_bytes(body.get("suffix") or ""),
            prompt_ids=prompts.ids,
            echoed_bytes=echoed * choices,
            limit="max_tokens",
            added=request_body.list_added(kept),
            max_tokens=request_body.read_limit(body, LIMITS) or DEFAULT_MAX_TOKENS,
            # All `best_of` answers to each prompt are generated, and the best `n` of them returned.
            choices=max(choices, body.get("best_of") or 1) * prompts.count,
            include_usage=include_usage,
            dropped=selection.dropped,
            unknown=selection.unknown,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return TextChunks(request)


TEXT = Text()


class TextChunks(Chunks):
    kind = "text_completion"

    def choice(self, finish_reason: str) -> Body:
        return {"index": 0, "text": "", "logprobs": None, "finish_reason": finish_reason}
