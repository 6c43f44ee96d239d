"""Describes why an answer ended: the finish reasons of each dialect, and the errors."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from llmproxy.models import Completion

Status = Completion.Status

WHOLE: Any = gettext_lazy("Finished")
AT_STOP: Any = gettext_lazy("Reached a stop text of the request")
AT_LIMIT: Any = gettext_lazy("Reached the length limit")
FULL: Any = gettext_lazy("Reached the maximum length of a conversation with this model")
CALLS: Any = gettext_lazy("Called a tool")
WITHHELD: Any = gettext_lazy("The provider blocked the rest of the answer")
REFUSED: Any = gettext_lazy("The model declined to answer")
PAUSED: Any = gettext_lazy("Paused. Send the conversation again to continue")
# The reasons of chat and text completions, Responses, Messages, and of compatible providers.
REASONS: dict[str, Any] = {
    "stop": WHOLE,
    "length": AT_LIMIT,
    "tool_calls": CALLS,
    "function_call": CALLS,
    "content_filter": WITHHELD,
    "completed": WHOLE,
    "max_output_tokens": AT_LIMIT,
    "end_turn": WHOLE,
    "stop_sequence": AT_STOP,
    "max_tokens": AT_LIMIT,
    "tool_use": CALLS,
    "pause_turn": PAUSED,
    "refusal": REFUSED,
    "model_context_window_exceeded": FULL,
    "eos": WHOLE,
    "eos_token": WHOLE,
    "model_length": FULL,
    "safety": WITHHELD,
}
TOO_LONG: Any = gettext_lazy("The request is longer than the model supports")
ERRORS: dict[str, Any] = {
    "upstream_error": gettext_lazy("The provider failed"),
    "upstream_unavailable": gettext_lazy("No provider was available"),
    "upstream_timeout": gettext_lazy("The provider did not answer in time"),
    "server_restarting": gettext_lazy("The server was restarted"),
    "context_length_exceeded": TOO_LONG,
    "exceed_context_size_error": TOO_LONG,  # llama.cpp's
    "invalid_request_error": gettext_lazy("The provider refused the request"),
}


def describe_ending(completion: Completion) -> str:
    """Why the answer ended, for people; empty if the status tells it.

    An unknown finish reason stays as the provider spells it.
    """
    if completion.status == Status.FAILED:
        known = ERRORS.get(completion.error)
        return str(
            known or _("The provider refused the request (%(code)s)") % {"code": completion.error}
        )
    if completion.status == Status.INTERRUPTED:
        return ""
    return str(REASONS.get(completion.finish_reason.lower(), completion.finish_reason))
