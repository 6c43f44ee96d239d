"""`/v1/embeddings`: always JSON, and only the prompt is charged.

Source: OpenAI API reference, "Create embeddings".
"""

import sys
from array import array
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from llmproxy import lenient_json
from llmproxy.metering.route_meters import EmbeddingsMeter
from llmproxy.models import Endpoint
from llmproxy.routes import request_body
from llmproxy.routes.base import Route, Stream
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.tables.embeddings import MAX_INPUTS, PARAMETERS

# More vectors than these are asked for in base64, and written as numbers one by one. In JSON, 2,048
# vectors of 3,072 numbers take 130 MB, but 34 MB in base64.
MOST_AS_NUMBERS = 512


class Embeddings(Route):
    endpoint = Endpoint.EMBEDDINGS
    member = "data"
    meter = EmbeddingsMeter

    def parse(self, raw: bytes, *, stream: bool | None = None) -> CompletionRequest:
        body = request_body.parse_object(raw)
        PARAMETERS.check(body)
        inputs = request_body.measure_texts(body, "input", MAX_INPUTS)
        selection = PARAMETERS.select(body)
        request = CompletionRequest(
            body=selection.kept,
            model=body.get("model") or None,
            stream=False,
            prompt_bytes=inputs.size,
            prompt_ids=inputs.ids,
            max_tokens=0,
            dropped=selection.dropped,
            unknown=selection.unknown,
        )
        if inputs.count > MOST_AS_NUMBERS and body.get("encoding_format") != "base64":
            request.add(encoding_format="base64")
            request.is_rewritten = True
        return request

    def rewrite(self, answer: dict[str, Any]) -> Iterator[bytes]:
        """Write the vectors as numbers, one at a time, so that few of them are in memory."""
        for number, (name, value) in enumerate(answer.items()):
            yield (b"," if number else b"{") + lenient_json.encode(name) + b":"
            if name == self.member:
                yield from _write_vectors(value)
            else:
                yield lenient_json.encode(value)
        yield b"}"

    def streamed(self, request: CompletionRequest) -> Stream:
        raise NotImplementedError("embeddings are not streamed")


EMBEDDINGS = Embeddings()


def _write_vectors(vectors: list[Any]) -> Iterator[bytes]:
    yield b"["
    for number, vector in enumerate(vectors):
        yield (b"," if number else b"") + lenient_json.encode(_read_numbers(vector))
    yield b"]"


def _read_numbers(vector: Any) -> Any:
    """Return a vector with its numbers; unchanged if a provider sent no base64."""
    text = vector.get("embedding") if isinstance(vector, dict) else None
    if not isinstance(text, str):
        return vector
    numbers = array("f")
    try:
        numbers.frombytes(b64decode(text, validate=True))
    except ValueError:
        return vector
    if sys.byteorder == "big":
        numbers.byteswap()
    return {**vector, "embedding": numbers.tolist()}
