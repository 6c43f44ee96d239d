"""`/v1/completions`: text continued, as before there were chats.

Source: OpenAI API reference, "Create completion" (legacy).
"""

from llmproxy.metering.route_meters import TextMeter
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.chat import Chunks
from llmproxy.routes.request_body import MAX_CHOICES, MAX_TOKENS, Asked, Body

FORWARDED = frozenset(
    """
    prompt best_of echo frequency_penalty logit_bias logprobs max_tokens min_p model n presence_penalty
    repetition_penalty seed stop stream stream_options suffix temperature top_k top_p user
    """.split()  # noqa: SIM905
)
MAX_PROMPTS = 64
MAX_LOGPROBS = 20
DEFAULT_MAX_TOKENS = 16  # of the API, and few clients send another one
ECHOED_BYTES_PER_TOKEN = 4


class Text(Route):
    endpoint = Endpoint.TEXT
    meter = TextMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> Asked:
        body = request_body.parsed(raw)
        prompts = request_body.texts(body, "prompt", MAX_PROMPTS)
        request_body.check_ranges(
            body,
            temperature=(0, 2),
            top_p=(0, 1),
            presence_penalty=(-2, 2),
            frequency_penalty=(-2, 2),
        )
        request_body.check_strings(body, "stop")
        request_body.whole(body, "logprobs", MAX_LOGPROBS, least=0)
        kept = request_body.only(body, FORWARDED - {"max_tokens", "stream_options"})
        include_usage = request_body.stream_usage(body, kept, stream)
        choices = request_body.whole(body, "n", MAX_CHOICES) or 1
        echoed = (
            prompts.size + ECHOED_BYTES_PER_TOKEN * prompts.ids
            if request_body.flag(body, "echo")
            else 0
        )
        return Asked(
            body=kept,
            model=request_body.text(body, "model"),
            stream=kept["stream"],
            prompt_bytes=prompts.size
            + request_body.size_of(request_body.text(body, "suffix") or ""),
            prompt_ids=prompts.ids,
            echoed_bytes=echoed * choices,
            limit="max_tokens",
            max_tokens=request_body.whole(body, "max_tokens", MAX_TOKENS) or DEFAULT_MAX_TOKENS,
            # Of `best_of` answers to each prompt the best `n` come back, but all are generated.
            choices=max(choices, request_body.whole(body, "best_of", MAX_CHOICES) or 1)
            * prompts.count,
            include_usage=include_usage,
        )

    def is_answer(self, answer: Body) -> bool:
        return isinstance(answer.get("choices"), list)

    def streamed(self, asked: Asked) -> Stream:
        return TextChunks(asked)


TEXT = Text()


class TextChunks(Chunks):
    kind = "text_completion"

    def choice(self, finish_reason: str) -> Body:
        return {"index": 0, "text": "", "logprobs": None, "finish_reason": finish_reason}
