"""`/v1/completions`: the model continues a text.

Source: OpenAI API reference, "Create completion" (legacy).
"""

from llmproxy.metering.route_meters import TextMeter
from llmproxy.models import Endpoint
from llmproxy.routes import kinds, parameters, request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.chat import Chunks
from llmproxy.routes.kinds import BOOLEAN, STRING, Content, Integer
from llmproxy.routes.parameters import (
    CHOICES,
    LIMIT,
    MODEL,
    SAMPLING_WITH_PENALTIES,
    STREAM_WITH_OPTIONS,
    Parameter,
    Parameters,
)
from llmproxy.routes.request_body import Body, CompletionRequest

MAX_PROMPTS = 64
MAX_LOGPROBS = 20
DEFAULT_MAX_TOKENS = 16  # the default of the API, which few clients change
ECHOED_BYTES_PER_TOKEN = 4
PARAMETERS = Parameters(
    Parameter("prompt", Content(kinds.describe_texts(MAX_PROMPTS)), is_required=True),
    *SAMPLING_WITH_PENALTIES,
    Parameter("logprobs", Integer(0, MAX_LOGPROBS)),
    *STREAM_WITH_OPTIONS,
    Parameter("n", CHOICES),
    Parameter("echo", BOOLEAN),
    MODEL,
    Parameter("suffix", STRING),
    Parameter("max_tokens", LIMIT, f"{DEFAULT_MAX_TOKENS} if absent.", is_forwarded=False),
    Parameter("best_of", CHOICES, "All generated answers are charged."),
    *parameters.pass_on("logit_bias min_p repetition_penalty seed top_k user"),
)


class Text(Route):
    endpoint = Endpoint.TEXT
    member = "choices"
    meter = TextMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        prompts = request_body.measure_texts(body, "prompt", MAX_PROMPTS)
        kept = PARAMETERS.select(body)
        include_usage = request_body.set_stream(body, kept, stream)
        choices = body.get("n") or 1
        echoed = prompts.size + ECHOED_BYTES_PER_TOKEN * prompts.ids if body.get("echo") else 0
        return CompletionRequest(
            body=kept,
            model=body.get("model"),
            stream=kept["stream"],
            prompt_bytes=prompts.size + request_body.count_bytes(body.get("suffix") or ""),
            prompt_ids=prompts.ids,
            echoed_bytes=echoed * choices,
            limit="max_tokens",
            added=request_body.list_added(kept),
            max_tokens=body.get("max_tokens") or DEFAULT_MAX_TOKENS,
            # All `best_of` answers to each prompt are generated, and the best `n` of them returned.
            choices=max(choices, body.get("best_of") or 1) * prompts.count,
            include_usage=include_usage,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        return TextChunks(request)


TEXT = Text()


class TextChunks(Chunks):
    kind = "text_completion"

    def choice(self, finish_reason: str) -> Body:
        return {"index": 0, "text": "", "logprobs": None, "finish_reason": finish_reason}
