"""The views of the list of requests and of its export."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.toolbox import rate_limits
from credits.csv_cells import format_csv
from llmproxy.pages.activity.export import read_rows
from llmproxy.pages.activity.query import ActivityQuery
from llmproxy.pages.activity.rows import Rows

EXPORTS_PER_HOUR = 60  # by one user


@require_safe
@never_cache
@login_required
def show(request: HttpRequest) -> HttpResponse:
    """`/account/activity`, newest first; status 400 for filters that cannot be."""
    user = require_user(request)
    query = ActivityQuery(user, request.GET)
    found = _find_start(query, user) if query.is_valid() else None
    if found is None:
        return render(request, "llmproxy/activity/list.html", {"query": query}, status=400)
    rows, before = found
    context = {
        "query": query,
        "page": rows.cut_page(before),
        "before": query.cleaned_data["before"],
        "filters": _write_filters(request),
    }
    return render(request, "llmproxy/activity/list.html", context)


@require_safe
@never_cache
@login_required
def export(request: HttpRequest) -> HttpResponseBase:
    """`/account/activity/export`: the same rows as a CSV file."""
    user = require_user(request)
    query = ActivityQuery(user, request.GET)
    found = _find_start(query, user) if query.is_valid() else None
    if found is None:
        return render(request, "llmproxy/activity/list.html", {"query": query}, status=400)
    allowance = rate_limits.take(f"exports:{user.pk}", limit=EXPORTS_PER_HOUR, period=3600)
    if not allowance.allowed:
        refusal = render(request, "429.html", status=429)
        refusal["Retry-After"] = str(allowance.retry_after)
        return refusal
    rows, before = found
    return StreamingHttpResponse(
        format_csv(read_rows(rows, before)),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="requests-{timezone.now():%Y-%m-%d}.csv"',
        },
    )


def _find_start(query: ActivityQuery, user: Any) -> tuple[Rows, int | None] | None:
    """Return the rows and the id before which to begin; None without the receipt `before`."""
    rows, before = Rows(user, query.cleaned_data), query.cleaned_data["before"]
    if not before:
        return rows, None
    start = rows.own.filter(generation_id=before).values_list("pk", flat=True).first()
    return None if start is None else (rows, start)


def _write_filters(request: HttpRequest) -> str:
    """Return the query string of the address without its page."""
    kept = request.GET.copy()
    kept.pop("before", None)
    return kept.urlencode()
