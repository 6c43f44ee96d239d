"""`/v1/embeddings`: always JSON, and only the prompt is charged.

Source: OpenAI API reference, "Create embeddings".
"""

from llmproxy.metering.route_meters import EmbeddingsMeter
from llmproxy.models import Endpoint
from llmproxy.routes import kinds, request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.kinds import Choice, Content, Integer
from llmproxy.routes.parameters import MODEL, Parameter, Parameters
from llmproxy.routes.request_body import CompletionRequest

MAX_INPUTS = 2048
# A vector in JSON numbers takes several times the bytes of base64, and a response larger than
# LLM_MAX_ANSWER_BYTES is lost.
MAX_INPUTS_AS_NUMBERS = 512
MAX_DIMENSIONS = 8192
PARAMETERS = Parameters(
    Parameter(
        "encoding_format",
        Choice(("float", "base64")),
        f"As `float`, at most {MAX_INPUTS_AS_NUMBERS} inputs.",
    ),
    Parameter("input", Content(kinds.describe_texts(MAX_INPUTS)), is_required=True),
    Parameter("dimensions", Integer(1, MAX_DIMENSIONS)),
    MODEL,
    Parameter("user"),
)


class Embeddings(Route):
    endpoint = Endpoint.EMBEDDINGS
    member = "data"
    meter = EmbeddingsMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        is_base64 = body.get("encoding_format") == "base64"
        inputs = request_body.measure_texts(
            body, "input", MAX_INPUTS if is_base64 else MAX_INPUTS_AS_NUMBERS
        )
        return CompletionRequest(
            body=PARAMETERS.select(body),
            model=body.get("model"),
            stream=False,
            prompt_bytes=inputs.size,
            prompt_ids=inputs.ids,
            max_tokens=0,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        raise NotImplementedError("embeddings are not streamed")


EMBEDDINGS = Embeddings()
