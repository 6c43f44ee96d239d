"""The page of a person's requests to models, with links to their receipts.

It also lists requests that cost nothing or failed.
"""

from dataclasses import dataclass

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.toolbox.keyset import cut_page
from llmproxy.models import Completion
from llmproxy.receipts import finish_reasons

PAGE = 50
NOT_COMPLETED = "not_completed"


class RequestsQuery(forms.Form):
    """`before` is the id of the last completion on the previous page."""

    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[("", _("All")), (NOT_COMPLETED, _("Not completed"))],
    )
    before = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)


@dataclass(frozen=True, slots=True)
class Page:
    """Completions, each with its ending in words; `before` leads to the next page.

    `before` is empty on the last page.
    """

    rows: list[tuple[Completion, str]]
    before: str


@require_safe
@never_cache
@login_required
def requests(request: HttpRequest) -> HttpResponse:
    """`/account/requests`, newest first; status 400 for a query that no link has."""
    query, own = RequestsQuery(request.GET), Completion.objects.filter(user=require_user(request))
    page = _cut_page(own, **query.cleaned_data) if query.is_valid() else None
    if page is None:
        return render(request, "llmproxy/requests.html", {"query": RequestsQuery({})}, status=400)
    return render(
        request, "llmproxy/requests.html", {"query": query, "page": page, **query.cleaned_data}
    )


def _cut_page(own: QuerySet[Completion], show: str, before: str) -> Page | None:
    """None if `before` is not the id of one of the user's own completions."""
    rows = own.exclude(status=Completion.Status.COMPLETED) if show else own
    last = own.filter(generation_id=before).values_list("pk", flat=True).first() if before else None
    if before and last is None:
        return None
    page = cut_page(rows, "pk", last, PAGE)
    described = [(row, finish_reasons.describe_ending(row)) for row in page.rows]
    return Page(described, page.rows[-1].generation_id if page.before else "")
