"""The state of a completion as one word, the same in lists, on receipts and in exports."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from llmproxy.models import Completion

ANSWERED, LEFT, FAILED, REFUNDED = "answered", "left", "failed", "refunded"
WORDS: dict[str, Any] = {
    ANSWERED: _("Answered"),
    LEFT: _("Stopped"),
    FAILED: _("Failed"),
    REFUNDED: _("Refunded"),
}
FINISHED: Any = _("Finished")  # of embeddings, which are no answer
BY_STATUS = {
    Completion.Status.COMPLETED: ANSWERED,
    Completion.Status.INTERRUPTED: LEFT,
    Completion.Status.FAILED: FAILED,
}


def find_state(completion: Completion, refunded: int) -> str:
    """Return the state of a completion of which `refunded` credits were given back.

    A refund of a part leaves the state as it was.
    """
    if refunded and refunded >= completion.charged:
        return REFUNDED
    return BY_STATUS[Completion.Status(completion.status)]


def describe_state(completion: Completion, state: str) -> str:
    """Return the word for the state of this completion."""
    return str(WORDS[state] if completion.is_written or state != ANSWERED else FINISHED)
