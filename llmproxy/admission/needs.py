"""What a request needs of its model, and the refusal if the model cannot do it.

The facts are columns of the model. Where a column is empty, the provider decides.
"""

from typing import Any, Literal

from django.utils.translation import gettext as _

from llmproxy.database import contract
from llmproxy.exceptions import ModelLacks
from llmproxy.metering.media import AUDIO, IMAGE
from llmproxy.models import Endpoint
from llmproxy.routes.request_body import CompletionRequest

# The bytes of a token in texts that have more of them than prose: deep indents, tables, lines of
# dashes. A prompt has at least as many tokens as this says.
MOST_BYTES_PER_TOKEN = 8
NEEDS = {IMAGE: "images", AUDIO: "audio"}
# Routes that take several prompts at once, and the member that has them.
PROMPTS = {Endpoint.TEXT: "prompt", Endpoint.EMBEDDINGS: "input"}
CODES = {
    "context": "context_length_exceeded",  # clients shorten the conversation for this code
    "images": "image_input_not_supported",
    "audio": "audio_input_not_supported",
    "tools": "tools_not_supported",
}


def list_needs(request: CompletionRequest) -> list[str] | None:
    """What the model has to be able to do, as gateway_admit reads it; None for text alone."""
    body = request.body
    needs = (
        [NEEDS[one.medium] for one in request.media.contents if one.medium in NEEDS]
        if request.media
        else []
    )
    if (body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none":
        needs.append("tools")
    return needs or None


def count_certain_tokens(request: CompletionRequest, endpoint: Endpoint) -> int:
    """The tokens that the prompt has at least; 0 for a request with several prompts."""
    if (name := PROMPTS.get(endpoint)) is not None:
        prompt = request.body.get(name)
        if isinstance(prompt, list) and not isinstance(prompt[0], int):  # not tokens of one prompt
            return 0
    return request.prompt_ids + request.prompt_bytes // MOST_BYTES_PER_TOKEN


def refuse(decision: contract.ModelLacks) -> ModelLacks:
    """Return the exception for a model that lacks what the request needs."""
    lack: Literal["context", "images", "audio", "tools"] = decision["lack"]
    words: dict[str, Any] = {
        "context": _("The model %(name)s has a context of %(tokens)s tokens; this is longer."),
        "images": _("The model %(name)s cannot see images."),
        "audio": _("The model %(name)s cannot hear audio."),
        "tools": _("The model %(name)s cannot call tools."),
    }
    text = words[lack] % {"name": decision["model"], "tokens": decision["context_tokens"]}
    return ModelLacks(text, code=CODES[lack], param="tools" if lack == "tools" else None)
