"""The chart of new and active users, and who and what used most credits."""

from collections.abc import Iterable
from datetime import date, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _

from llmproxy.receipts.callers import DEVICE, KEY
from llmproxy.usage.whole_site import figures
from llmproxy.usage.whole_site.days import find_day
from llmproxy.usage.whole_site.figures import Span, Sums, Top
from smartspec.admin.charts.chart import COLOURS, LINE, Chart, Series, Table, draw
from smartspec.admin.charts.lists import Place, Places
from smartspec.admin.charts.ranges import label_days

PLACES = 10


def build_users(span: Span) -> Chart:
    """Return the chart of days; a range of hours has those that it touches."""
    days = _list_days(span)
    active, joined = figures.read_active(span), figures.read_joined(span)
    labels = label_days(days)
    series = [
        Series(_("Active"), [active.get(day, 0) for day in days], COLOURS[0]),
        Series(_("New"), [joined.get(day, 0) for day in days], COLOURS[2]),
    ]
    rows = [
        (label, *(intcomma(one.values[number]) for one in series))
        for number, label in enumerate(labels)
    ]
    return draw(
        "users",
        _("New and active users"),
        labels,
        series,
        Table((_("Day"), _("Active"), _("New")), rows),
        kind=LINE,
        note=_("Active users sent at least one request on that day."),
        empty=_("No users were active in this range."),
    )


def list_tops(span: Span, sums: Iterable[Sums]) -> list[Places]:
    """Return the users, models, and devices and keys that used most credits."""
    users, credentials = figures.read_tops(span)
    return [
        Places("top-users", _("Top users"), [_describe_user(top) for top in users]),
        Places("top-models", _("Top models"), _rank_models(sums)),
        Places(
            "top-credentials",
            _("Top devices and keys"),
            [_describe_credential(top) for top in credentials],
        ),
    ]


def _list_days(span: Span) -> list[date]:
    count = (find_day(span.now) - span.first_day).days + 1
    return [span.first_day + timedelta(days=number) for number in range(count)]


def _describe_user(top: Top) -> Place:
    link = reverse("admin:accounts_user_change", args=[top.user.pk])
    return Place(str(top.user), link, "", top.charged, top.answers)


def _describe_credential(top: Top) -> Place:
    kind = top.credential.partition(":")[0]
    kinds = {KEY: _("API key"), DEVICE: _("device")}
    name = top.name or kinds.get(kind) or _("Browser")
    link = reverse("admin:accounts_user_change", args=[top.user.pk])
    return Place(name, link, str(top.user), top.charged, top.answers)


def _rank_models(sums: Iterable[Sums]) -> list[Place]:
    totals: dict[str, tuple[int, int]] = {}
    for row in sums:
        charged, answers = totals.get(row.model, (0, 0))
        totals[row.model] = charged + row.charged, answers + row.answers
    ranked = sorted(totals.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))
    return [Place(model, "", "", *both) for model, both in ranked[:PLACES]]
