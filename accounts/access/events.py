"""Access events: what happened to the access to an account, recorded for its user and operators."""

import logging
from typing import Any

from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source

Kind = AuthEvent.Kind
logger = logging.getLogger(__name__)


def record(kind: Kind, *, source: Source, user: User | None = None, **details: Any) -> AuthEvent:
    """Record an event in the caller's transaction, and log it.

    `details` are short values. They must not contain a code, token, key or password.
    """
    if source.is_administrator:
        details["by"] = "administrator"
    logger.info("%s user=%s %s", kind.value, user.pk if user else "-", details)
    return AuthEvent.objects.create(
        kind=kind, user=user, address=source.address, user_agent=source.user_agent, details=details
    )
