"""The page of credits: what is on sale, and the reader's plan, refill and purchases."""

import logging

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from accounts.toolbox.keyset import Page, cut_page
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Package, Purchase, Refill, Subscription
from credits.purchases import checkout, limits, requests
from credits.purchases.refusals import OfferChanged, ShopClosed, ShopRefusal
from credits.reversals import frozen
from credits.shop import offers
from credits.shop.forms import AskForm, BuyForm, PageQuery
from credits.shop.policy import leads_to_stripe
from credits.shop.standing import RELATED, describe_standing
from credits.stripe_api.client import StripeAway, StripeRefused, is_configured

logger = logging.getLogger(__name__)

PAGE = 20  # purchases on one page
MOST_OPEN = 5  # open payments that the page names
UNPAID = (Purchase.State.NEW, Purchase.State.OPEN, Purchase.State.PROCESSING)


@require_safe
@never_cache
@login_required
@leads_to_stripe
def overview(request: HttpRequest) -> HttpResponse:
    """Show the balance, what is on sale, and the purchases of the reader."""
    user = require_user(request)
    query = PageQuery(request.GET)
    before = query.cleaned_data["before"] if query.is_valid() else None
    sold = offers.list_currencies()
    currency = offers.choose_currency(request, sold)
    page = list_purchases(user, before)
    context = {
        "balance": ledger.balance(user),
        "can_pay": is_configured(),
        "contact": settings.SUPPORT_EMAIL,
        "closed": explain_closed(user),
        "is_verified": limits.is_verified(user),
        "currencies": sold,
        "currency": currency,
        "offers": offers.list_offers(user, currency),
        "changed": request.GET.get("changed", ""),
        "plus_tax": offers.describe_tax(),
        "has_promptpay": settings.PROMPTPAY and currency == offers.THAI_CURRENCY,
        "refund_days": settings.SELF_REFUND_DAYS,
        "open_payments": list_open(user),
        "subscription": find_subscription(user),
        "refill": Refill.objects.filter(user=user).select_related("package").first(),
        "plan": user.plan,
        "page": page,
        "rows": [(purchase, describe_standing(purchase)) for purchase in page.rows],
        "before": before,
    }
    return render(request, "credits/shop/overview.html", context)


@require_POST
@never_cache
@login_required
@leads_to_stripe
def buy(request: HttpRequest) -> HttpResponse:
    """Begin a purchase and lead to Stripe's page; what cannot be bought is said on our page.

    The same form again leads to the same purchase: to its payment while it is open, else to its
    page.
    """
    form = BuyForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("This form is incomplete. Choose a package again."))
        return redirect_to_offers()
    sent = form.cleaned_data
    package = get_object_or_404(Package, pk=sent["package"])
    try:
        purchase = checkout.start(
            user=require_user(request),
            package=package,
            currency=sent["currency"],
            form_key=sent["form_key"],
            shown_price=sent["price"],
            shown_credits=sent["credits"],
            language=get_language() or "en",
            source=Source.from_request(request),
        )
    except OfferChanged as refusal:
        messages.warning(request, refusal.message)
        return redirect_to_offers(currency=sent["currency"], changed=str(package.pk))
    except ShopRefusal as refusal:
        messages.error(request, refusal.message)
        return redirect_to_offers(currency=sent["currency"])
    except StripeAway as error:
        messages.error(request, explain_silence(error))
        return redirect_to_offers(currency=sent["currency"])
    return redirect_to_payment(purchase)


@require_POST
@never_cache
@login_required
def ask(request: HttpRequest) -> HttpResponse:
    """Store that the reader wants a package, where nothing can be paid online."""
    form = AskForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("This form is incomplete. Choose a package again."))
        return redirect_to_offers()
    package = get_object_or_404(Package, pk=form.cleaned_data["package"], is_active=True)
    requests.ask(user=require_user(request), package=package)
    messages.success(request, _("We have your request and will write to you."))
    return redirect_to_offers()


def redirect_to_payment(purchase: Purchase) -> HttpResponse:
    """Lead to Stripe's page while the payment is open, else to the page of the purchase."""
    if purchase.state == Purchase.State.OPEN and purchase.checkout_url:
        return HttpResponseRedirect(purchase.checkout_url)
    return HttpResponseRedirect(reverse("account_purchase", args=[purchase.public_id]))


def redirect_to_offers(**query: str) -> HttpResponse:
    """Lead to the packages, with a message on top."""
    words = f"?{urlencode(query)}" if query else ""
    return HttpResponseRedirect(f"{reverse('account_credits')}{words}")


def explain_silence(error: StripeAway | StripeRefused) -> str:
    """Say that the payment service gave no usable answer; the log says why it refused."""
    note_refusal(error)
    return _(
        "The payment service does not answer at the moment. You were not charged. Try again in a"
        " few minutes."
    )


def explain_closed(user: User) -> str:
    """Return why this user may not buy now; empty if they may."""
    try:
        frozen.refuse_frozen(user)
        limits.refuse_closed(user)
    except ShopClosed as refusal:
        return refusal.message
    return ""


def note_refusal(error: StripeAway | StripeRefused) -> None:
    """Log what Stripe refused: its cause is with us or the operator, not with the buyer."""
    if isinstance(error, StripeRefused):
        logger.error("Stripe refuses what a buyer asked for: %s", error)


def list_open(user: User) -> list[Purchase]:
    """Return the payments that the reader has begun and not finished, the newest first."""
    rows = Purchase.objects.filter(user=user, kind=Purchase.Kind.PACKAGE, state__in=UNPAID)
    return list(rows.order_by("-id")[:MOST_OPEN])


def find_subscription(user: User) -> Subscription | None:
    """Return the subscription that has not ended, if there is one."""
    rows = Subscription.objects.filter(user=user, ended_at=None).exclude(status="new")
    return rows.select_related("plan", "next_plan").order_by("-id").first()


def list_purchases(user: User, before: int | None) -> Page[Purchase]:
    """Return at most PAGE purchases with an id below `before`, the newest first."""
    rows = Purchase.objects.filter(user=user).prefetch_related(*RELATED)
    return cut_page(rows, "id", before, PAGE)
