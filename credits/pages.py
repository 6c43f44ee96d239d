"""The pages on which users see their credits. They only read."""

from dataclasses import dataclass

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import signed_in
from accounts.models import User
from credits import ledger
from credits.models import Grant, Transaction

NEWEST = 20  # Transactions on the account page.
EXPIRING = 3  # Grants on the account page.
PAGE = 50  # Transactions on one page of the list of all transactions.
MAX_SEQ = 2**63 - 1


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Show the balance, the plan and the newest transactions."""
    user = signed_in(request)
    balance = ledger.balance(user)
    context = {
        "balance": balance,
        "plan": user.plan,
        "low": balance.available < settings.LOW_BALANCE_CREDITS,
        "expiring": Grant.objects.filter(user=user).expiring()[:EXPIRING],
        "transactions": Transaction.objects.filter(user=user).newest_first()[:NEWEST],
    }
    return render(request, "credits/account.html", context)


class TransactionsQuery(forms.Form):
    """The parameters of the list. `before` is the `seq` of the last row of the previous page."""

    type = forms.ChoiceField(
        label=_("Show"), required=False, choices=[("", _("Everything")), *Transaction.Type.choices]
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_SEQ, widget=forms.HiddenInput
    )


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page. `before` is the parameter of the next page, None on the last page."""

    rows: list[Transaction]
    before: int | None


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
        "page": load_page(signed_in(request), kind, before),
    }
    return render(request, "credits/transactions.html", context)


def load_page(user: User, kind: str, before: int | None) -> Page:
    """Return at most PAGE transactions with a `seq` below `before`. An empty `kind`: any type."""
    earlier = Transaction.objects.filter(user=user, seq__lt=before or MAX_SEQ)
    rows = list((earlier.filter(type=kind) if kind else earlier).newest_first()[: PAGE + 1])
    return Page(rows[:PAGE], rows[PAGE - 1].seq if len(rows) > PAGE else None)
