"""The page of one purchase: how it stands, and what its buyer can do next."""

import re
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from credits.models import Purchase, Subscription
from credits.purchases import checkout, limits, settlement
from credits.reversals import proposals
from credits.shop import offers, plan_pages
from credits.shop.pages import note_refusal
from credits.shop.standing import describe_standing, explain_failure
from credits.shop.timeline import list_steps
from credits.stripe_api.client import StripeAway, StripeRefused

State = Purchase.State
SESSION = re.compile(r"cs_[A-Za-z0-9_]{1,96}")
# Seconds until a browser that waits for a payment asks again, each time it does: some minutes.
REFRESH_SECONDS = (3, 3, 3, 5, 5, 5, 10, 10, 20, 30, 60, 60)
METHODS = {"card": gettext_lazy("Card"), "promptpay": "PromptPay", "link": "Link"}
WAITING = (State.NEW, State.OPEN, State.PROCESSING)
MOVING = ("refunding", "refund_waiting", "disputed", "inquiry")
UNSETTLED = (*WAITING, State.REVIEW, State.FAILED, State.EXPIRED)


@require_safe
@never_cache
@login_required
def come_back(request: HttpRequest) -> HttpResponse:
    """Settle the payment from which the buyer comes back, and show how it stands.

    The address names Stripe's session. It is not found if it belongs to another user.
    """
    session = request.GET.get("session", "")
    if not session:
        return HttpResponseRedirect(reverse("account_credits"))
    if not SESSION.fullmatch(session):
        raise Http404
    user = require_user(request)
    may_ask = limits.may_ask_stripe(user)
    plan = Subscription.objects.filter(user=user, checkout_session=session).first()
    if plan is not None:
        if not may_ask:
            return HttpResponseRedirect(reverse("account_plan"))
        return plan_pages.come_back(request, plan)
    purchase = get_object_or_404(Purchase, user=user, checkout_session=session)
    is_away = False
    try:
        purchase = settlement.settle(purchase) if may_ask else purchase
    except (StripeAway, StripeRefused) as error:
        note_refusal(error)
        is_away = True
    response = show(request, purchase, is_away=is_away)
    return refresh_later(request, response, purchase)


@require_safe
@never_cache
@login_required
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """Show one purchase of the reader as it was last known."""
    return show(request, find_purchase(require_user(request), public_id))


@require_POST
@never_cache
@login_required
def check(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask Stripe about one purchase, and show it again."""
    user = require_user(request)
    purchase = find_purchase(user, public_id)
    if not limits.may_ask_stripe(user):
        messages.warning(request, _("You asked too often. Try again in a minute."))
        return lead_to(purchase)
    try:
        settlement.check(purchase)
    except (StripeAway, StripeRefused) as error:
        messages.warning(request, explain_silence_of_check(error))
    return lead_to(purchase)


@require_POST
@never_cache
@login_required
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """End a payment that is still open. What was paid meanwhile stays paid."""
    purchase = find_purchase(require_user(request), public_id)
    try:
        purchase = checkout.cancel(purchase)
    except (StripeAway, StripeRefused) as error:
        messages.warning(request, explain_silence_of_check(error))
        return lead_to(purchase)
    if purchase.state == State.EXPIRED:
        messages.success(request, _("The payment is cancelled. You were not charged."))
        return HttpResponseRedirect(reverse("account_credits"))
    return lead_to(purchase)


def show(request: HttpRequest, purchase: Purchase, *, is_away: bool = False) -> HttpResponse:
    """Render a purchase. `is_away`: Stripe gave no answer just now."""
    standing = describe_standing(purchase)
    context: dict[str, Any] = {
        "purchase": purchase,
        "standing": standing,
        "reason": explain_failure(purchase),
        "steps": list_steps(purchase),
        "documents": purchase.documents.order_by("id"),
        "is_away": is_away,
        "may_continue": purchase.state == State.OPEN and bool(purchase.checkout_url),
        "plus_tax": offers.describe_tax() if purchase.state in (State.NEW, State.OPEN) else "",
        "may_cancel": purchase.state in (State.NEW, State.OPEN),
        "may_check": (purchase.state in UNSETTLED and purchase.decided_at is None)
        or standing.name in ("refunding", "refund_waiting"),
        "may_buy_again": purchase.state in (State.FAILED, State.EXPIRED),
        "may_give_back": proposals.can_be_given_back(purchase),
        "method": METHODS.get(purchase.method, purchase.method.replace("_", " ").capitalize()),
        "needs_contact": standing.name in ("review", "left", "disputed", "inquiry", "dispute_lost"),
        "refreshes": may_refresh(request, purchase),
        "contact": settings.SUPPORT_EMAIL,
    }
    return render(request, "credits/shop/purchase.html", context)


def refresh_later(request: HttpRequest, response: HttpResponse, purchase: Purchase) -> HttpResponse:
    """Let the browser ask again while the payment waits, without a script, some minutes long.

    The header does what `<meta http-equiv="refresh">` does
    (https://html.spec.whatwg.org/multipage/document-lifecycle.html#the-refresh-header).
    """
    if may_refresh(request, purchase):
        number = count_refreshes(request)
        query = urlencode({"session": purchase.checkout_session, "n": str(number + 1)})
        response["Refresh"] = f"{REFRESH_SECONDS[number]}; url={request.path}?{query}"
    return response


def may_refresh(request: HttpRequest, purchase: Purchase) -> bool:
    is_return = "session" in request.GET
    return (
        is_return and purchase.state in WAITING and count_refreshes(request) < len(REFRESH_SECONDS)
    )


def count_refreshes(request: HttpRequest) -> int:
    """Return how often this browser has asked again, as the address says; 0 for nonsense."""
    number = request.GET.get("n", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0


def find_purchase(user: User, public_id: str) -> Purchase:
    """Return one purchase of this user. Raises Http404, for those of others too."""
    return get_object_or_404(
        Purchase.objects.select_related("user"), user=user, public_id=public_id
    )


def lead_to(purchase: Purchase) -> HttpResponse:
    return HttpResponseRedirect(reverse("account_purchase", args=[purchase.public_id]))


def explain_silence_of_check(error: StripeAway | StripeRefused) -> str:
    """Say that the state is not known now; the log says why Stripe refused to tell it."""
    note_refusal(error)
    return _(
        "The payment service does not answer at the moment. We ask it again by ourselves; what you"
        " paid is not lost."
    )
