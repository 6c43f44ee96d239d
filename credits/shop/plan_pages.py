"""The page of plans that are paid by the month: begin, change, end, pay what is due."""

import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access.authentication import require_user
from accounts.models import Plan, User
from accounts.toolbox.request_source import Source
from credits.models import PlanPrice, Subscription
from credits.purchases.refusals import OfferChanged, ShopRefusal
from credits.shop import offers
from credits.shop.forms import PlanForm
from credits.shop.pages import explain_closed, explain_silence
from credits.shop.policy import leads_to_stripe
from credits.stripe_api.client import StripeAway, StripeRefused, is_configured
from credits.subscriptions import change, following, portal, prices, start


@require_safe
@never_cache
@login_required
@leads_to_stripe
def show(request: HttpRequest) -> HttpResponse:
    """Show the plan of the reader, and the plans on sale."""
    return render_plans(request)


def render_plans(request: HttpRequest) -> HttpResponse:
    user = require_user(request)
    running = start.find_running(user)
    sold = list_currencies()
    currency = running.currency if running else offers.choose_currency(request, sold)
    context = {
        "plan": user.plan,
        "running": running,
        "opened": find_open(user),
        "can_pay": is_configured(),
        "closed": explain_closed(user),
        "contact": settings.SUPPORT_EMAIL,
        "currency": currency,
        "currencies": [currency] if running else sold,
        "prices": [
            (price, choose_button(price, running), secrets.token_urlsafe(24))
            for price in prices.list_plans(currency)
        ],
        "changed": request.GET.get("changed", ""),
        "plus_tax": offers.describe_tax(),
        "has_promptpay": settings.PROMPTPAY and currency == offers.THAI_CURRENCY,
    }
    return render(request, "credits/shop/plan.html", context)


def choose_button(price: PlanPrice, running: Subscription | None) -> str:
    """Return what a reader can do with a plan: begin, upgrade, downgrade, or nothing."""
    if running is None:
        return "begin"
    if running.status not in Subscription.IN_FORCE or running.cancels_at_end:
        return ""
    if price.plan_id == running.plan_id:
        return "current"
    if price.plan_id == running.next_plan_id:
        return "next"
    return "upgrade" if price.amount > running.amount else "downgrade"


@require_POST
@never_cache
@login_required
@leads_to_stripe
def begin(request: HttpRequest) -> HttpResponse:
    """Begin a plan and lead to Stripe's page. The same form again leads to the same page."""
    sent = read_form(request)

    def act(user: User) -> HttpResponse:
        row = start.start(
            user=user,
            plan=sent["plan"],
            currency=sent["currency"],
            form_key=sent["form_key"],
            shown_price=sent["price"],
            shown_credits=sent["credits"],
            language=get_language() or "en",
            source=Source.from_request(request),
        )
        is_open = row.status == "open" and bool(row.checkout_url)
        return HttpResponseRedirect(row.checkout_url) if is_open else lead_back()

    return attempt(request, act, sent)


@require_POST
@never_cache
@login_required
def give_up(request: HttpRequest) -> HttpResponse:
    """End the payment page that is open. What was paid meanwhile begins the plan."""

    def act(user: User) -> HttpResponse:
        for row in following.list_open(user):
            following.give_up(row)
        if start.find_running(user) is None:
            messages.success(request, _("The payment is cancelled. You were not charged."))
        return lead_back()

    return attempt(request, act)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def upgrade(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a dearer plan costs today; begin it when the buyer confirms."""
    running = require_running(request)
    plan = get_object_or_404(Plan, pk=slug)
    if request.method != "POST":
        price = get_object_or_404(PlanPrice, plan=plan, currency=running.currency, is_active=True)
        context = {
            "price": price,
            "running": running,
            "form_key": secrets.token_urlsafe(24),
            "plus_tax": offers.describe_tax(),
        }
        return render(request, "credits/shop/upgrade.html", context)
    sent = read_form(request)

    def act(user: User) -> HttpResponse:
        row = change.upgrade(
            subscription=running,
            plan=plan,
            form_key=sent["form_key"],
            shown_price=sent["price"],
            shown_credits=sent["credits"],
        )
        if row.invoice_url:
            messages.warning(request, _("Your bank has to confirm this payment. Pay it below."))
        else:
            messages.success(request, _("Your new plan has begun."))
        return lead_back()

    return attempt(request, act, sent)


@require_POST
@never_cache
@login_required
def downgrade(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a cheaper plan begin with the next period."""
    running, plan = require_running(request), get_object_or_404(Plan, pk=slug)
    sent = read_form(request)

    def act(user: User) -> HttpResponse:
        row = change.downgrade(
            subscription=running,
            plan=plan,
            form_key=sent["form_key"],
            shown_price=sent["price"],
            shown_credits=sent["credits"],
        )
        text = _("Your plan changes on %(day)s. Until then you keep the present one.")
        messages.success(request, text % {"day": show_day(row)})
        return lead_back()

    return attempt(request, act, sent)


@require_POST
@never_cache
@login_required
def cancel(request: HttpRequest) -> HttpResponse:
    """Let the plan end with its period."""
    running = require_running(request)

    def act(user: User) -> HttpResponse:
        row = change.cancel(running)
        text = _("Your plan ends on %(day)s. Until then you can keep it again.")
        messages.success(request, text % {"day": show_day(row)})
        return lead_back()

    return attempt(request, act)


@require_POST
@never_cache
@login_required
def resume(request: HttpRequest) -> HttpResponse:
    """Keep the plan after all."""
    running = require_running(request)

    def act(user: User) -> HttpResponse:
        change.resume(running)
        messages.success(request, _("You keep your plan."))
        return lead_back()

    return attempt(request, act)


@require_POST
@never_cache
@login_required
@leads_to_stripe
def open_portal(request: HttpRequest) -> HttpResponse:
    """Lead to Stripe's page with the card and the invoices of the plan."""
    return attempt(request, lambda user: HttpResponseRedirect(portal.open_portal(user)))


def attempt(
    request: HttpRequest,
    act: Callable[[User], HttpResponse],
    sent: dict[str, Any] | None = None,
) -> HttpResponse:
    """Do an act about the plan; what is refused is said on the page of plans."""
    sent = sent or {}
    changed: dict[str, str] = {}
    try:
        return act(require_user(request))
    except OfferChanged as refusal:
        messages.warning(request, refusal.message)
        changed = {"changed": sent["plan"].pk}
    except ShopRefusal as refusal:
        messages.error(request, refusal.message)
    except (StripeAway, StripeRefused) as error:
        messages.error(request, explain_silence(error))
    return lead_back(**changed)


def come_back(request: HttpRequest, row: Subscription) -> HttpResponse:
    """Follow the subscription from whose payment page the buyer comes back."""
    try:
        row = following.refresh(row)
    except (StripeAway, StripeRefused) as error:
        messages.warning(request, explain_silence(error))
        return lead_back()
    if row.status in Subscription.IN_FORCE:
        messages.success(request, _("Your plan has begun. Thank you!"))
    return lead_back()


def read_form(request: HttpRequest) -> dict[str, Any]:
    """Return the hidden fields of a button. Raises Http404 for a form that is not ours."""
    form = PlanForm(request.POST)
    if not form.is_valid():
        raise Http404
    return {**form.cleaned_data, "plan": get_object_or_404(Plan, pk=form.cleaned_data["plan"])}


def require_running(request: HttpRequest) -> Subscription:
    """Return the running subscription of the reader. Raises Http404 if there is none."""
    row = start.find_running(require_user(request))
    if row is None:
        raise Http404
    return row


def find_open(user: User) -> Subscription | None:
    """Return the subscription whose first payment is open, if there is one."""
    rows = following.list_open(user).filter(status="open").exclude(checkout_url="")
    return rows.select_related("plan").first()


def list_currencies() -> list[str]:
    """Return the currencies in which a plan is on sale, in the order of CURRENCIES."""
    sold = set(PlanPrice.objects.filter(is_active=True).values_list("currency", flat=True))
    return [code for code in settings.CURRENCIES if code in sold]


def show_day(row: Subscription) -> str:
    return date_format(row.period_end, "j M Y") if row.period_end else "–"


def lead_back(**query: str) -> HttpResponse:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return HttpResponseRedirect(reverse("account_plan") + (f"?{words}" if words else ""))
