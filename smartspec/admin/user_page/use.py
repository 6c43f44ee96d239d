"""The tab of what a user uses: the last 30 days as a chart, and the newest completions."""

from collections.abc import Iterator
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext_lazy as _

from accounts.templatetags.times import show_local_time
from llmproxy.models import Completion
from llmproxy.usage import charts
from llmproxy.usage.recent import foretell, read_recent
from smartspec.admin.user_page.sections import NEWEST, Column, Reading, Section, show_number
from smartspec.admin.viewing import may_view

COMPLETIONS = (
    Column(_("time"), lambda row: show_local_time(row.created_at)),
    Column(_("model"), lambda row: row.model),
    Column(_("called by"), lambda row: row.credential_name or "–", is_minor=True),
    Column(_("status"), lambda row: row.get_status_display()),
    Column(
        _("tokens"),
        lambda row: f"{intcomma(row.prompt_tokens)} + {intcomma(row.completion_tokens)}",
        is_number=True,
        is_minor=True,
    ),
    Column(_("charged"), lambda row: show_number(row.charged), is_number=True),
)


def list_sections(reading: Reading) -> Iterator[Section | None]:
    """Yield the tables of this tab."""
    user = reading.user
    made = Completion.objects.filter(user=user).order_by("-pk")
    yield reading.list_rows(Completion, made[:NEWEST], COMPLETIONS, user=user.pk)
    # The condition is that of a small index.
    failed = made.exclude(status=Completion.Status.COMPLETED)
    yield reading.list_rows(
        Completion,
        failed[:NEWEST],
        COMPLETIONS,
        title=_("Failed or interrupted"),
        user=user.pk,
        status__exact="failed",
    )


def read_chart(reading: Reading) -> dict[str, Any]:
    """Return the bars of 30 days of the user's zone, and their sums; nothing if not allowed."""
    if not may_view(reading.request, Completion):
        return {}
    recent = read_recent(reading.user)
    periods = charts.group_days(recent.first, recent.days)
    return {
        "chart": charts.draw_bars(periods, "charged"),
        "periods": [period for period in reversed(periods) if period.used.answers],
        "first": periods[0].first,
        "last": periods[-1].last,
        "recent": recent,
        "answers": sum(day.answers for day in recent.days),
        "failures": sum(day.failures for day in recent.days),
        "days_left": foretell(reading.user, recent),
    }
