"""The time until an expiry, in the reader's language. Django's own `timeuntil` has no Thai."""

from datetime import datetime, timedelta
from typing import Protocol

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


class Expiring(Protocol):
    state: str
    expires_at: datetime


def format_countdown(row: Expiring) -> str:
    """Return text such as "in 12 minutes"; "–" for a row that is neither open nor pending."""
    if row.state not in ("open", "pending"):
        return "–"
    left = row.expires_at - timezone.now()
    if left < timedelta():
        return _("%(time)s ago") % {"time": format_duration(-left)}
    return _("in %(time)s") % {"time": format_duration(left)}


def format_duration(time: timedelta) -> str:
    """Return the duration rounded to minutes (below 90), hours (below 48) or days."""
    minutes = round(time.total_seconds() / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("%(number)d minute", "%(number)d minutes", minutes) % {"number": minutes}
    if (hours := round(minutes / 60)) < 48:
        return ngettext("%(number)d hour", "%(number)d hours", hours) % {"number": hours}
    days = round(hours / 24)
    return ngettext("%(number)d day", "%(number)d days", days) % {"number": days}
