"""All charts of the first page of the admin that an administrator may see, for one range."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone

from credits.operators import income
from llmproxy.models import Provider
from llmproxy.usage.whole_site import figures
from llmproxy.usage.whole_site.days import get_zone
from smartspec.admin.charts import money, people, usage
from smartspec.admin.charts.chart import Chart
from smartspec.admin.charts.lists import Places
from smartspec.admin.charts.ranges import PARAMETER, RANGES, Range, find_range, label_periods


@dataclass(frozen=True, slots=True)
class ChartPage:
    """What the template shows. `until` is when the figures of usage end, None without any."""

    ranges: tuple[Range, ...]
    chosen: Range
    charts: list[Chart]
    lists: list[Places]
    until: datetime | None
    zone: str


def build_charts(request: HttpRequest) -> ChartPage | None:
    """Read the figures; None if the administrator may see neither usage nor payments."""
    sees_usage = request.user.has_perm("llmproxy.view_completion")
    sees_money = request.user.has_perm("credits.view_purchase")
    if not sees_usage and not sees_money:
        return None
    chosen = find_range(request.GET.get(PARAMETER, ""))
    span = figures.find_span(chosen.days, timezone.now())
    labels, sums = label_periods(span), figures.read_sums(span)
    charts: list[Chart] = []
    lists: list[Places] = []
    name = _make_namer()
    if sees_usage:
        charts += [
            usage.build_requests(labels, sums),
            usage.build_credits_by_model(labels, sums),
            *usage.build_latencies(labels, span, name),
        ]
    if sees_money:
        received, credits_in = income.read_income(span.limits)
        charts += [
            *money.build_money(labels, received),
            money.build_credits(labels, credits_in, sums),
        ]
    if sees_usage and sees_money:
        charts.append(money.build_margin(sums, income.find_credit_value(), name))
    if request.user.has_perm("accounts.view_user"):
        charts.append(people.build_users(span))
        if sees_usage:
            lists = people.list_tops(span, sums)
    return ChartPage(RANGES, chosen, charts, lists, figures.find_end(), get_zone().key)


def _make_namer() -> Callable[[str], str]:
    """Return a function from the slug of a provider to its name; a deleted one keeps the slug."""
    names = dict(Provider.objects.values_list("slug", "name"))
    return lambda slug: names.get(slug, slug) or "–"
