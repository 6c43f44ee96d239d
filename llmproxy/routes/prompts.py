"""The prompt of a completion, for routes that take a prompt and do something else with it."""

from collections.abc import Set

from llmproxy.routes.request_body import CompletionRequest


def take_prompt(request: CompletionRequest, names: Set[str]) -> CompletionRequest:
    """Return a request for JSON with these parameters of `request`, and no limit of the answer.

    It has none of what the gateway itself adds to a completion, which a provider would refuse.
    """
    request.add_nothing()
    return CompletionRequest(
        body={name: value for name, value in request.body.items() if name in names},
        model=request.model,
        stream=False,
        prompt_bytes=request.prompt_bytes,
        media=request.media,
        prompt_ids=request.prompt_ids,
        writes_1h=request.writes_1h,
        dropped=request.dropped,
        unknown=request.unknown,
        headers=request.headers,
    )
