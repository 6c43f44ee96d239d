"""The page on which a buyer gives back what is unspent of a purchase."""

import secrets

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.access.authentication import require_user
from accounts.toolbox.exceptions import Refusal
from credits.models import Purchase, Refund
from credits.reversals import proposals, refund_acts
from credits.shop.forms import GiveBackForm
from credits.shop.purchase_pages import find_purchase, lead_to


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def give_back(request: HttpRequest, public_id: str) -> HttpResponse:
    """Show what would go back; do it when the buyer confirms what the page showed."""
    purchase = find_purchase(require_user(request), public_id)
    if request.method != "POST":
        return _show(request, purchase)
    form = GiveBackForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("This form is incomplete. Open it again."))
        return lead_to(purchase)
    key, amount = form.cleaned_data["form_key"], form.cleaned_data["amount"]
    if _has_changed(purchase, amount):
        messages.warning(
            request, _("You have spent credits meanwhile, so the amount changed. Look again.")
        )
        return _show(request, purchase)
    try:
        refund = refund_acts.give_back(purchase, key)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return lead_to(purchase)
    _tell(request, refund)
    return lead_to(purchase)


def _show(request: HttpRequest, purchase: Purchase) -> HttpResponse:
    if not proposals.can_be_given_back(purchase):
        messages.warning(request, _("Nothing of this purchase can be given back."))
        return lead_to(purchase)
    context = {
        "purchase": purchase,
        "proposal": proposals.propose(purchase),
        "form_key": secrets.token_urlsafe(24),
    }
    return render(request, "credits/shop/give_back.html", context)


def _has_changed(purchase: Purchase, amount: int) -> bool:
    """True if another amount can be given back now than the page showed.

    If nothing can be, the form may have been sent twice: its first outcome is shown again then.
    """
    can_be_given_back = proposals.can_be_given_back(purchase)
    return can_be_given_back and proposals.propose(purchase).amount != amount


def _tell(request: HttpRequest, refund: Refund) -> None:
    if refund.state == Refund.State.REFUSED:
        messages.error(
            request, _("The payment service refused the refund. You have the credits again.")
        )
    else:
        messages.success(request, _("The money is on its way back to you."))
