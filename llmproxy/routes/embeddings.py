"""`/v1/embeddings`: always JSON, and only the prompt is charged.

Source: OpenAI API reference, "Create embeddings".
"""

from llmproxy.metering.route_meters import EmbeddingsMeter
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.tables.embeddings import MAX_INPUTS, PARAMETERS

# A vector in JSON numbers takes several times the bytes of base64, and a response larger than
# LLM_MAX_ANSWER_BYTES is lost.
MAX_INPUTS_AS_NUMBERS = 512


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
        selection = PARAMETERS.select(body)
        return CompletionRequest(
            body=selection.kept,
            model=body.get("model") or None,
            stream=False,
            prompt_bytes=inputs.size,
            prompt_ids=inputs.ids,
            max_tokens=0,
            dropped=selection.dropped,
            unknown=selection.unknown,
        )

    def streamed(self, request: CompletionRequest) -> Stream:
        raise NotImplementedError("embeddings are not streamed")


EMBEDDINGS = Embeddings()
