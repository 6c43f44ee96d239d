"""How long something still lives, in words of the reader's language (Django's own have no Thai)."""

from datetime import datetime, timedelta
from typing import Protocol

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


class Expiring(Protocol):
    state: str
    expires_at: datetime


def countdown(row: Expiring) -> str:
    """Such as "in 12 minutes"; for what is over, nothing counts."""
    if row.state not in ("open", "pending"):
        return "–"
    left = row.expires_at - timezone.now()
    if left < timedelta():
        return _("%(time)s ago") % {"time": span(-left)}
    return _("in %(time)s") % {"time": span(left)}


def span(time: timedelta) -> str:
    """Rounded, in the unit that says enough."""
    minutes = round(time.total_seconds() / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("%(number)d minute", "%(number)d minutes", minutes) % {"number": minutes}
    if (hours := round(minutes / 60)) < 48:
        return ngettext("%(number)d hour", "%(number)d hours", hours) % {"number": hours}
    days = round(hours / 24)
    return ngettext("%(number)d day", "%(number)d days", days) % {"number": days}
