"""What OpenAI refuses at `/v1/completions` and `/v1/embeddings`.

Source: OpenAI API reference, "Create completion" and "Create embeddings".
"""

from typing import Any

from openai.types.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.embedding_create_params import EmbeddingCreateParams

from tests.clients.mock.openai.chat_rules import find_model
from tests.clients.mock.openai.words import refuse_empty, refuse_problem
from tests.clients.mock.refusals import refuse_openai
from tests.clients.mock.shapes import find_problems, list_members
from tests.clients.mock.usage import count_tokens

MAX_INPUTS = 2048
Body = dict[str, Any]


def check_completion(body: Body) -> None:
    """Raise Refused for a request that OpenAI refuses."""
    model = find_model(body)
    if "instruct" not in model.name:
        raise refuse_openai(
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean to"
            " use v1/chat/completions?",
            param="model",
            status=404,
        )
    shape = (
        CompletionCreateParamsStreaming
        if body.get("stream")
        else CompletionCreateParamsNonStreaming
    )
    _check_shape(body, shape)
    limit = body.get("max_tokens") or 16
    tokens = count_tokens(body["prompt"])
    if tokens + limit > model.context:
        raise refuse_openai(
            f"This model's maximum context length is {model.context} tokens, however you requested"
            f" {tokens + limit} tokens ({tokens} in your prompt; {limit} for the completion)."
            " Please reduce your prompt; or completion length."
        )


def check_embeddings(body: Body) -> None:
    """Raise Refused for a request that OpenAI refuses."""
    model = find_model(body)
    if "embedding" not in model.name:
        raise refuse_openai(
            "You are not allowed to generate embeddings from this model", status=403
        )
    _check_shape(body, EmbeddingCreateParams)
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    if not texts:
        raise refuse_empty("input")
    if len(texts) > MAX_INPUTS:
        raise refuse_openai(
            f"Invalid 'input': array too long. Expected an array with maximum length {MAX_INPUTS},"
            f" but got an array with length {len(texts)} instead.",
            param="input",
            code="array_above_max_length",
        )
    for text in texts:
        if isinstance(text, str) and count_tokens(text) > model.context:
            raise refuse_openai(
                f"This model's maximum context length is {model.context} tokens, however you"
                f" requested {count_tokens(text)} tokens ({count_tokens(text)} in your prompt; 0"
                " for the completion). Please reduce your prompt; or completion length."
            )


def _check_shape(body: Body, shape: Any) -> None:
    unknown = [name for name in body if name not in list_members(shape)]
    if unknown:
        many = "s" if len(unknown) > 1 else ""
        raise refuse_openai(f"Unrecognized request argument{many} supplied: {', '.join(unknown)}")
    for problem in find_problems(body, shape):
        raise refuse_problem(problem)
