"""`/v1/embeddings`: always JSON, and only the prompt costs.

Source: OpenAI API reference, "Create embeddings".
"""

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering.route_meters import EmbeddingsMeter
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.request_body import Asked, Body

FORWARDED = frozenset({"dimensions", "encoding_format", "input", "model", "user"})
MAX_INPUTS = 2048
# As numbers in JSON a vector takes several times the bytes, and an answer beyond LLM_MAX_ANSWER_BYTES is lost.
MAX_INPUTS_AS_NUMBERS = 512
MAX_DIMENSIONS = 8192


class Embeddings(Route):
    endpoint = Endpoint.EMBEDDINGS
    meter = EmbeddingsMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> Asked:
        body = request_body.parsed(raw)
        form = request_body.text(body, "encoding_format") or "float"
        if form not in ("float", "base64"):
            raise InvalidRequest(
                _("%(name)s must be one of %(values)s.")
                % {"name": "encoding_format", "values": "float, base64"},
                param="encoding_format",
            )
        inputs = request_body.texts(
            body, "input", MAX_INPUTS if form == "base64" else MAX_INPUTS_AS_NUMBERS
        )
        request_body.whole(body, "dimensions", MAX_DIMENSIONS)
        return Asked(
            body=request_body.only(body, FORWARDED),
            model=request_body.text(body, "model"),
            stream=False,
            prompt_bytes=inputs.size,
            prompt_ids=inputs.ids,
            max_tokens=0,
        )

    def is_answer(self, answer: Body) -> bool:
        return isinstance(answer.get("data"), list)

    def streamed(self, asked: Asked) -> Stream:
        raise NotImplementedError("embeddings are not streamed")


EMBEDDINGS = Embeddings()
