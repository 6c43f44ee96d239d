"""The health of a provider in one line, from its latest calls and its last connection test."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credits.countdown import format_duration
from llmproxy.models import Provider
from llmproxy.receipts import provider_figures


def load_activity(providers: Iterable[Any]) -> None:
    """Set `last_success_at`, `was_asked` and `cut_offs` (lately) on each provider.

    One query serves all of them.
    """
    last_successes = provider_figures.find_last_successes()
    asked_slugs = provider_figures.list_asked()
    cut_offs = provider_figures.count_cut_offs()
    for provider in providers:
        provider.last_success_at = last_successes.get(provider.slug)
        provider.was_asked = provider.slug in asked_slugs
        provider.cut_offs = cut_offs.get(provider.slug, 0)


def describe_health(provider: Any) -> str:
    """Describe a provider after `load_activity`. A failed test counts until a call succeeds."""
    now = timezone.now()
    if provider.held_back_until and provider.held_back_until > now:
        return _("Paused by an administrator for %(span)s") % {
            "span": format_duration(provider.held_back_until - now)
        }
    if provider.cooling_until and provider.cooling_until > timezone.now():
        return _("Paused for %(span)s after failures") % {
            "span": format_duration(provider.cooling_until - timezone.now())
        }
    if number := int(provider.failures):
        return ngettext("%d failure in a row", "%d failures in a row", number) % number
    if provider.test_problem and not _is_after(provider.last_success_at, provider.tested_at):
        return _("The test failed %(ago)s") % {"ago": describe_last_test(provider)}
    if provider.was_asked:
        return _("Good")
    unasked = (
        _("Not used yet")
        if provider.created_at >= provider_figures.get_window_start()
        else _("Not used lately")
    )
    if provider.tested_at is None:
        return unasked
    return _("%(unasked)s. Tested %(ago)s") % {
        "unasked": unasked,
        "ago": describe_last_test(provider),
    }


def describe_cut_offs(provider: Any) -> str:
    """Say how many answers were cut off lately, after `load_activity`."""
    if not provider.cut_offs:
        return _("None in the last %(days)d days") % {"days": provider_figures.DAYS}
    return ngettext(
        "%(number)d in the last %(days)d days. The provider took too long, and may charge for it.",
        "%(number)d in the last %(days)d days. The provider took too long, and may charge for "
        "them.",
        provider.cut_offs,
    ) % {"number": provider.cut_offs, "days": provider_figures.DAYS}


def describe_last_test(provider: Provider) -> str:
    """Say when the connection was tested last, and with which result."""
    if provider.tested_at is None:
        return "–"
    result = provider.get_test_problem_display() if provider.test_problem else _("it works")
    return _("%(ago)s: %(found)s") % {"ago": format_age(provider.tested_at), "found": result}


def format_age(moment: datetime) -> str:
    return _("%(time)s ago") % {"time": format_duration(timezone.now() - moment)}


def _is_after(moment: datetime | None, other: datetime | None) -> bool:
    return moment is not None and other is not None and moment > other
