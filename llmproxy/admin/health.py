"""How a provider does, in a line: by what it was asked last, and by the last test of its connection."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credits.countdown import format_duration
from llmproxy.models import Provider
from llmproxy.receipts import provider_figures


def learn(providers: Iterable[Any]) -> None:
    """Note on each, with one question for all, whether it was asked lately and when it last answered."""
    known, asked = provider_figures.find_last_successes(), provider_figures.list_asked()
    for provider in providers:
        provider.last_success_at = known.get(provider.slug)
        provider.was_asked = provider.slug in asked


def words(provider: Any) -> str:
    """Of a provider that `learn` has seen. A test that failed counts until a call succeeds."""
    if provider.cooling_until and provider.cooling_until > timezone.now():
        return _("Paused for %(span)s after failures") % {
            "span": format_duration(provider.cooling_until - timezone.now())
        }
    if number := int(provider.failures):
        return ngettext("%d failure in a row", "%d failures in a row", number) % number
    if provider.test_problem and not _is_after(provider.last_success_at, provider.tested_at):
        return _("The test failed %(ago)s") % {"ago": tested(provider)}
    if provider.was_asked:
        return _("Good")
    unasked = (
        _("Not used yet")
        if provider.created_at >= provider_figures.get_window_start()
        else _("Not used lately")
    )
    if provider.tested_at is None:
        return unasked
    return _("%(unasked)s. Tested %(ago)s") % {"unasked": unasked, "ago": tested(provider)}


def tested(provider: Provider) -> str:
    """When the connection was tested last, and what was found."""
    if provider.tested_at is None:
        return "–"
    found = provider.get_test_problem_display() if provider.test_problem else _("it works")
    return _("%(ago)s: %(found)s") % {"ago": ago(provider.tested_at), "found": found}


def ago(moment: datetime) -> str:
    return _("%(time)s ago") % {"time": format_duration(timezone.now() - moment)}


def _is_after(moment: datetime | None, other: datetime | None) -> bool:
    return moment is not None and other is not None and moment > other
