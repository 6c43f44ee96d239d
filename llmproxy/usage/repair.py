"""What the audit does about quarters that differ from their completions (invariant 18)."""

from django.db import connection

from llmproxy.usage import folding

INVARIANT = 18


def repair(user_id: int) -> str:
    """Compute the quarters of a user again and say so; an empty text if nothing can be written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        (is_read_only,) = cursor.fetchone()
    if is_read_only:
        return ""
    folding.rebuild(user_id)
    return "nothing more: the quarters of this user have been computed again"
