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
    """Set `last_success_at` and `was_asked` (lately) on each provider, with one query for all."""
    last_successes = provider_figures.find_last_successes()
    asked_slugs = provider_figures.list_asked()
    for provider in providers:
        provider.last_success_at = last_successes.get(provider.slug)
        provider.was_asked = provider.slug in asked_slugs


def describe_health(provider: Any) -> str:
    """Describe a provider after `load_activity`. A failed test counts until a call succeeds."""
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
