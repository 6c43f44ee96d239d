"""What a person sees of their credits. They only read."""

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.toolbox.keyset import MAX_KEY, Page, cut_page
from credits import ledger
from credits.models import Grant, Transaction

NEWEST = 20  # transactions on the account page
EXPIRING = 3  # grants on the account page
PAGE = 50  # transactions on a page of their own


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Balance and plan, and the newest transactions."""
    user = require_user(request)
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
    """`before` is the `seq` that ended the page before."""

    type = forms.ChoiceField(
        label=_("Show"), required=False, choices=[("", _("Everything")), *Transaction.Type.choices]
    )
    before = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_KEY, widget=forms.HiddenInput
    )


@require_safe
@never_cache
@login_required
def transactions(request: HttpRequest) -> HttpResponse:
    """All transactions, newest first, a page at a time; 400 for an address that no link leads to."""
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
        "page": page_of(require_user(request), kind, before),
    }
    return render(request, "credits/transactions.html", context)


def page_of(user: User, kind: str, before: int | None) -> Page[Transaction]:
    """At most PAGE transactions of this type, posted before that number."""
    wanted = Transaction.objects.filter(user=user)
    return cut_page(wanted.filter(type=kind) if kind else wanted, "seq", before, PAGE)
