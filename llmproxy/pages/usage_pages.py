"""`/account/usage`: what a person used, by day, model, device and key; and the same as CSV."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.time_zones import borders, zone_of
from accounts.toolbox import rate_limits
from credits.csv_cells import format_csv
from llmproxy.pages.usage_query import BROWSER, OWN, RANGES, SHOWN, UsageQuery, Wanted, read_query
from llmproxy.receipts.callers import DEVICE, Caller, find_callers
from llmproxy.usage import charts, sums
from llmproxy.usage import export as export_rows
from llmproxy.usage.recent import find_today
from llmproxy.usage.sums import Sum, Usage

MOST_ROWS = 50  # of a table; the others are one more row together
EXPORTS_PER_HOUR = 60  # of usage and of requests together
# The columns of all tables: the attribute of a sum, the class of its cells, and the heading.
COLUMNS = (
    ("answers", "", gettext_lazy("Answers")),
    ("failures", "wide", gettext_lazy("Failed")),
    ("prompt_tokens", "wide", gettext_lazy("Tokens sent")),
    ("completion_tokens", "wide", gettext_lazy("Tokens received")),
    ("charged", "", gettext_lazy("Charged")),
    ("refunded", "", gettext_lazy("Given back")),
)
ATTRIBUTES = {"credits": "charged", "answers": "answers", "tokens": "tokens"}


@dataclass(frozen=True, slots=True)
class Row:
    """One model, device or key, or an empty `name` for all others together.

    `only` leads to this page with nothing else, `page` to the page of a connected device or key.
    """

    name: str
    used: Sum
    cells: SafeString
    only: str = ""
    page: str = ""
    is_gone: bool = False


@require_safe
@never_cache
@login_required
def usage(request: HttpRequest) -> HttpResponse:
    """The page; status 400 with words for a query that no link has."""
    user = require_user(request)
    query = UsageQuery(request.GET, today=find_today(user))
    if not query.is_valid():
        return render(request, "llmproxy/usage.html", {"query": query}, status=400)
    wanted = read_query(query)
    days = borders(wanted.first, wanted.days, zone_of(user))
    found = sums.read(user, days, **wanted.narrowing)
    callers = _find_callers(user, wanted, found)
    context = {
        "query": query,
        "wanted": wanted,
        "total": found.total,
        **_describe_choices(wanted),
        **_draw(wanted, found),
        **_describe_zone(user, days),
        "models": _list_models(wanted, found),
        "callers": _list_callers(wanted, found, callers),
        "only_caller": callers.get(wanted.credential),
    }
    return render(request, "llmproxy/usage.html", context)


@require_safe
@never_cache
@login_required
def export(request: HttpRequest) -> HttpResponseBase:
    """A row for each day, model and credential of the query; status 400 as for the page."""
    user = require_user(request)
    query = UsageQuery(request.GET, today=find_today(user))
    if not query.is_valid():
        return render(request, "llmproxy/usage.html", {"query": query}, status=400)
    allowance = rate_limits.take(f"exports:{user.pk}", limit=EXPORTS_PER_HOUR, period=3600)
    if not allowance.allowed:
        refused = render(request, "429.html", status=429)
        refused["Retry-After"] = str(allowance.retry_after)
        return refused
    wanted = read_query(query)
    rows = export_rows.read_rows(user, wanted.first, wanted.days, **wanted.narrowing)
    name = f"usage-{wanted.first}-{wanted.last}.csv"
    return StreamingHttpResponse(
        format_csv(rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _describe_choices(wanted: Wanted) -> dict[str, Any]:
    """The links to other ranges and measures, and the one away from a model or credential."""
    return {
        "ranges": [
            (label, wanted.link(range=name, first=None, last=None), name == wanted.named)
            for name, label in RANGES
        ],
        "is_own": wanted.named == OWN,
        "shown": [(label, wanted.link(show=name), name == wanted.show) for name, label in SHOWN],
        "every_model": wanted.link(model=None),
        "every_caller": wanted.link(credential=None),
        "narrowed": "".join(
            f"&{urlencode({name: value})}"
            for name, value in (("model", wanted.model), ("credential", wanted.credential))
            if value
        ),
        "csv": reverse("usage_export") + wanted.link(),
    }


def _draw(wanted: Wanted, found: Usage) -> dict[str, Any]:
    periods = charts.group_days(wanted.first, found.days)
    used = [period for period in reversed(periods) if period.used != Sum()]
    return {
        "chart": charts.draw_bars(periods, ATTRIBUTES[wanted.show]),
        "used_periods": [(period, _write_cells(period.used, found.total)) for period in used],
        "columns": [(css, heading) for _, css, heading in _choose_columns(found.total)],
    }


def _choose_columns(total: Sum) -> list[tuple[str, str, Any]]:
    """Leave out what was given back if nothing was."""
    return [column for column in COLUMNS if column[0] != "refunded" or total.refunded]


def _write_cells(used: Sum, total: Sum) -> SafeString:
    """Write the cells of a row here: a template takes several times as long for so many numbers."""
    cells = [(css, f"{getattr(used, name):,}") for name, css, _ in _choose_columns(total)]
    return format_html_join("", '<td class="number {}">{}</td>', cells)


def _describe_zone(user: User, days: list[datetime]) -> dict[str, Any]:
    """The zone of the days, and whether the months of budgets begin at other moments."""
    zone = zone_of(user)
    offsets = {day.astimezone(zone).utcoffset() for day in days}
    return {"zone": zone.key, "differs": offsets != {timedelta()}}


def _list_models(wanted: Wanted, found: Usage) -> list[Row]:
    def make(name: str, used: Sum) -> Row:
        return Row(name, used, _write_cells(used, found.total), wanted.link(model=name))

    return _cut(found.models, found.total, make)


def _find_callers(user: User, wanted: Wanted, found: Usage) -> dict[str, Caller]:
    """Name the callers that the page shows. One that is asked for may have no use."""
    asked = {wanted.credential: ""} if wanted.credential not in ("", BROWSER) else {}
    return find_callers(user, {**asked, **found.names})


def _list_callers(wanted: Wanted, found: Usage, callers: Mapping[str, Caller]) -> list[Row]:
    def make(credential: str, used: Sum) -> Row:
        caller, cells = callers[credential], _write_cells(used, found.total)
        only = wanted.link(credential=credential or BROWSER)
        if not credential:
            return Row("", used, cells, only)
        address = "account_device" if caller.kind == DEVICE else "account_key"
        page = reverse(address, args=[caller.pk]) if caller.is_live else ""
        return Row(caller.name, used, cells, only, page, not caller.is_live)

    return _cut(found.credentials, found.total, make)


def _cut(sums_by: Mapping[str, Sum], total: Sum, make: Callable[[str, Sum], Row]) -> list[Row]:
    """Make rows in the order of what was charged; all but the first MOST_ROWS are one together."""
    ordered = sorted(
        sums_by.items(), key=lambda item: (-item[1].charged, -item[1].answers, item[0])
    )
    rows = [make(name, used) for name, used in ordered[:MOST_ROWS]]
    others = Sum()
    for _, used in ordered[MOST_ROWS:]:
        others = charts.add(others, used)
    return rows if others == Sum() else [*rows, Row("", others, _write_cells(others, total))]
