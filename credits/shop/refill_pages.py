"""The page of automatic refills: settings, consent, card, switching off, and what was tried."""

import re
import secrets
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import Refill, RefillAttempt
from credits.purchases.limits import may_ask_stripe
from credits.purchases.refusals import ShopRefusal
from credits.purchases.taxes import is_calculated_by_stripe
from credits.refills import card, consent
from credits.refills.ends import PAUSES
from credits.refills.refusals import NoCard, WouldChargeNow
from credits.shop import offers
from credits.shop.pages import explain_closed, explain_silence
from credits.shop.policy import leads_to_stripe
from credits.shop.refill_form import RefillForm, find_terms
from credits.stripe_api.client import StripeAway, StripeRefused, is_configured

MOST_ATTEMPTS = 10  # on the page
SESSION = re.compile(r"cs_[A-Za-z0-9_]{1,96}")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@leads_to_stripe
def show(request: HttpRequest) -> HttpResponse:
    """Show the refill of the reader. A POST shows what would be agreed to; it changes nothing."""
    user = require_user(request)
    if request.method == "POST":
        form = make_form(request, user, request.POST)
        return _ask_consent(request, form) if form.is_valid() else _show(request, form)
    if SESSION.fullmatch(session := request.GET.get("session", "")) and may_ask_stripe(user):
        return _follow_card(request, session)
    return _show(request, make_form(request, user))


@require_POST
@never_cache
@login_required
def switch_on(request: HttpRequest) -> HttpResponse:
    """Switch refills on, as the page of the consent has said."""
    user = require_user(request)
    form = make_form(request, user, request.POST)
    if not form.is_valid():
        return _show(request, form)
    is_confirmed = request.POST.get("is_confirmed") == "1"
    try:
        consent.switch_on(user=user, is_confirmed=is_confirmed, **find_terms(form))
    except WouldChargeNow as refusal:
        return _ask_consent(request, form, warning=refusal.message)
    except ShopRefusal as refusal:
        form.add_error(None, refusal.message)
        return _show(request, form)
    except (StripeAway, StripeRefused) as error:
        form.add_error(None, explain_silence(error))
        return _show(request, form)
    messages.success(request, _("Automatic refills are on."))
    return lead_back()


@require_POST
@never_cache
@login_required
def switch_off(request: HttpRequest) -> HttpResponse:
    """Switch refills off at once."""
    consent.switch_off(require_user(request))
    messages.success(request, _("Automatic refills are off."))
    return lead_back()


@require_POST
@never_cache
@login_required
@leads_to_stripe
def save_card(request: HttpRequest) -> HttpResponse:
    """Lead to Stripe's page on which a card is saved, without a payment."""
    user = require_user(request)
    key = request.POST.get("form_key", "")[:64] or secrets.token_urlsafe(24)
    currency = offers.choose_currency(request, offers.list_currencies())
    try:
        page = card.start_setup(
            user=user, currency=currency, form_key=key, source=Source.from_request(request)
        )
    except ShopRefusal as refusal:
        messages.error(request, refusal.message)
    except (StripeAway, StripeRefused) as error:
        messages.error(request, explain_silence(error))
    else:
        return HttpResponseRedirect(page)
    return lead_back()


def make_form(request: HttpRequest, user: User, data: Any = None) -> RefillForm:
    """Return the form with the packages on sale, filled with the settings of the reader."""
    refill = Refill.objects.filter(user=user).first()
    sold = offers.list_currencies()
    wanted = refill.currency if refill and "currency" not in request.GET else None
    currency = wanted if wanted in sold else offers.choose_currency(request, sold)
    sold_here = [] if is_calculated_by_stripe() else offers.list_offers(user, currency)
    return RefillForm(data, offers=sold_here, refill=refill)


def _show(request: HttpRequest, form: RefillForm) -> HttpResponse:
    user = require_user(request)
    refill = Refill.objects.filter(user=user).select_related("package").first()
    attempts = RefillAttempt.objects.filter(refill__user=user).select_related("purchase")
    context = {
        "form": form,
        "form_key": secrets.token_urlsafe(24),
        "refill": refill,
        "paused": PAUSES.get(refill.paused_because, refill.paused_because) if refill else "",
        "attempts": attempts.order_by("-pk")[:MOST_ATTEMPTS],
        "can_pay": is_configured(),
        "plus_tax": offers.describe_tax(),
        "closed": explain_closed(user),
        "contact": settings.SUPPORT_EMAIL,
    }
    return render(request, "credits/shop/refill.html", context)


def _ask_consent(request: HttpRequest, form: RefillForm, *, warning: str = "") -> HttpResponse:
    """Show the words of the consent, with the card that would be charged."""
    terms = find_terms(form)
    try:
        saved = card.find_card(require_user(request))
    except (StripeAway, StripeRefused) as error:
        form.add_error(None, explain_silence(error))
        return _show(request, form)
    if saved is None:
        return _keep_and_ask_for_card(request, form, terms)
    price = terms.pop("shown_price")
    context = {
        "form": form,
        "words": consent.describe_consent(**terms, price=price, card=saved[1]),
        "warning": warning,
        "price": price,
        "currency": terms["currency"],
    }
    return render(request, "credits/shop/refill_consent.html", context)


def _keep_and_ask_for_card(
    request: HttpRequest, form: RefillForm, terms: dict[str, Any]
) -> HttpResponse:
    """Keep the settings, so that they are there when the reader comes back with a card."""
    try:
        consent.switch_on(user=require_user(request), is_confirmed=False, **terms)
    except NoCard as refusal:
        messages.warning(request, refusal.message)
        return lead_back()
    except ShopRefusal as refusal:
        form.add_error(None, refusal.message)
    except (StripeAway, StripeRefused) as error:
        form.add_error(None, explain_silence(error))
    return _show(request, form)


def _follow_card(request: HttpRequest, session: str) -> HttpResponse:
    """Take over the card from whose page the reader comes back; never that of somebody else."""
    try:
        saved = card.find_saved(session)
    except (StripeAway, StripeRefused) as error:
        messages.warning(request, explain_silence(error))
        return lead_back()
    if saved is None or saved.owner != require_user(request):
        messages.warning(request, _("No card was saved. Try again."))
    else:
        card.take_over(saved)
        messages.success(request, _("The card is saved. Now switch the refill on."))
    return lead_back()


def lead_back() -> HttpResponse:
    return HttpResponseRedirect(reverse("account_refill"))
