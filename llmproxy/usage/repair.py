"""What the audit does about quarters that differ from their completions (invariant 18)."""

from llmproxy.usage import folding
from llmproxy.usage.steps import is_read_only

INVARIANT = 18


def repair(user_id: int) -> str:
    """Compute the quarters of a user again and say so; an empty text if nothing can be written."""
    if is_read_only():
        return ""
    folding.rebuild(user_id)
    return "nothing more: the quarters of this user have been computed again"
