"""How long something still lives, in words."""

from datetime import datetime
from typing import Protocol

from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _


class Expiring(Protocol):
    state: str
    expires_at: datetime


def countdown(row: Expiring) -> str:
    """Such as "in 12 minutes"; for what is over, nothing counts."""
    if row.state not in ("open", "pending"):
        return "–"
    left = (row.expires_at - timezone.now()).total_seconds()
    if left < 0:
        return _("%(time)s ago") % {"time": timesince(row.expires_at, depth=1)}
    if left < 60:
        return _("in less than a minute")
    return _("in %(time)s") % {"time": timeuntil(row.expires_at, depth=1)}
