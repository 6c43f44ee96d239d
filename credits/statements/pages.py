"""The pages of month statements, and the file of the whole statement."""

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.toolbox import rate_limits
from accounts.toolbox.keyset import MAX_KEY
from credits.proof.statement import format_json
from credits.statements import months

PAGE = 200  # transactions on one page
FILES_PER_HOUR = 20  # whole statements for one user


class StatementQuery(forms.Form):
    """`after` is the number of the last transaction on the page before."""

    after = forms.IntegerField(required=False, min_value=1, max_value=MAX_KEY)


@require_safe
@never_cache
@login_required
def show(request: HttpRequest, month: str) -> HttpResponse:
    """`/account/statements/2026-11`; 404 for a month that does not exist or has not begun."""
    user, query, number = (
        require_user(request),
        StatementQuery(request.GET),
        months.find_month(month),
    )
    if number is None or not query.is_valid():
        raise Http404
    statement = months.make_statement(user, number)
    if statement.start > timezone.now():
        raise Http404
    rows = months.list_rows(user, statement, query.cleaned_data["after"] or 0, PAGE)
    has_more = bool(rows) and rows[-1].seq < statement.last
    context = {
        "statement": statement,
        "transactions": rows,
        "after": query.cleaned_data["after"],
        "next": rows[-1].seq if has_more else None,
    }
    return render(request, "credits/statements/month.html", context)


@require_safe
@never_cache
@login_required
def download(request: HttpRequest) -> HttpResponseBase:
    """`/account/statements/whole.json`: every transaction, as verify_statement.py reads it."""
    user = require_user(request)
    allowance = rate_limits.take(f"statements:{user.pk}", limit=FILES_PER_HOUR, period=3600)
    if not allowance.allowed:
        refusal = render(request, "429.html", status=429)
        refusal["Retry-After"] = str(allowance.retry_after)
        return refusal
    return StreamingHttpResponse(
        format_json(user),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="statement.json"'},
    )
