"""The page on which users see all transactions. It only reads."""

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.toolbox.keyset import MAX_KEY, Page, cut_page
from credits.models import Transaction

PAGE = 50  # Transactions on one page of the list of all transactions.


class TransactionsQuery(forms.Form):
    """The parameters of the list. `before` is the `seq` of the last row of the previous page."""

    type = forms.ChoiceField(
        label=_("Show"), required=False, choices=[("", _("All")), *Transaction.Type.choices]
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_KEY, widget=forms.HiddenInput
    )


@require_safe
@never_cache
@login_required
def transactions(request: HttpRequest) -> HttpResponse:
    """Show one page of all transactions, the newest first. Respond 400 to invalid parameters."""
    query = TransactionsQuery(request.GET)
    if not query.is_valid():
        return render(
            request, "credits/transactions.html", {"query": TransactionsQuery({})}, status=400
        )
    kind, before = query.cleaned_data["type"], query.cleaned_data["before"]
    context = {
        "query": query,
        "type": kind,
        "before": before,
        "page": load_page(require_user(request), kind, before),
    }
    return render(request, "credits/transactions.html", context)


def load_page(user: User, kind: str, before: int | None) -> Page[Transaction]:
    """Return at most PAGE transactions with a `seq` below `before`. An empty `kind`: any type."""
    rows = Transaction.objects.filter(user=user)
    return cut_page(rows.filter(type=kind) if kind else rows, "seq", before, PAGE)
