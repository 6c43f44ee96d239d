"""The prices that buyers of plans agreed to: a row first, then a price at Stripe.

An invoice gives credits only if its price is one of these rows.
"""

import hashlib

from django.conf import settings
from django.db.transaction import atomic

from accounts.models import Plan, User
from credits.models import PlanPrice, Subscription, SubscriptionPrice
from credits.purchases.refusals import CreditsChanged, NotOnSale, PriceChanged
from credits.purchases.taxes import is_calculated_by_stripe
from credits.stripe_api import subscriptions as stripe
from credits.stripe_api.client import Answer

MOST_DIGITS = 15


def find_price(plan: Plan, currency: str) -> int:
    """Return what a month of a plan costs now, in minor units. Raises NotOnSale."""
    price = PlanPrice.objects.filter(plan=plan, currency=currency, is_active=True).first()
    if price is None or currency not in settings.CURRENCIES or not plan.monthly_credits:
        raise NotOnSale
    return price.amount


def check_shown(plan: Plan, currency: str, *, shown_price: int, shown_credits: int) -> int:
    """Return the price if price and credits are those that the buyer saw.

    Raises NotOnSale, PriceChanged and CreditsChanged.
    """
    amount = find_price(plan, currency)
    if amount != shown_price:
        raise PriceChanged(price=amount, currency=currency)
    if plan.monthly_credits != shown_credits:
        raise CreditsChanged(credits=plan.monthly_credits)
    return amount


def list_plans(currency: str) -> list[PlanPrice]:
    """Return the plans on sale in a currency with their prices, the cheapest first."""
    if currency not in settings.CURRENCIES:
        return []
    prices = PlanPrice.objects.filter(
        currency=currency, is_active=True, plan__monthly_credits__gt=0
    )
    return list(prices.select_related("plan").order_by("amount", "plan_id"))


def find_paid(subscription: Subscription) -> SubscriptionPrice | None:
    """Return the price of the latest period that is paid; None before the first payment."""
    period = (
        subscription.periods.filter(purchase__transaction__isnull=False, price__isnull=False)
        .select_related("price__plan")
        .order_by("-ends_at")
        .first()
    )
    return period.price if period else None


def make_form_key(user: User, form_key: str, plan: Plan, what: str) -> str | None:
    """Return the key of this user's form, so that nobody finds the row of somebody else.

    A page has one key and several plans, each of which is a choice of its own; `what` is the
    currency, or the subscription that changes. None without a key.
    """
    if not form_key:
        return None
    words = f"{user.pk}:{plan.pk}:{what}:{form_key}"
    return hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()


def make_at_stripe(price: SubscriptionPrice) -> SubscriptionPrice:
    """Make the price at Stripe if that was not done yet. Raises StripeAway and StripeRefused."""
    if price.stripe_price:
        return price
    subscription = price.subscription
    made = stripe.make_price(
        name=price.plan.name,
        currency=subscription.currency,
        amount=price.amount,
        is_tax_added=is_calculated_by_stripe(),
        metadata=describe(price),
        key=f"subscription:{subscription.public_id}:{price.number}:price",
    )
    SubscriptionPrice.objects.filter(pk=price.pk).update(stripe_price=made["id"])
    price.refresh_from_db()
    return price


def describe(price: SubscriptionPrice) -> dict[str, str]:
    """Return metadata that are enough to make the rows of a subscription and its price again."""
    return {
        "site": settings.STRIPE_SITE,
        "subscription": price.subscription.public_id,
        "user": price.subscription.user.public_id,
        "plan": price.plan_id,
        "credits": str(price.credits),
        "amount": str(price.amount),
        "number": str(price.number),
    }


def learn(subscription: Subscription, stripe_price: str) -> None:
    """Write an agreed price again that a restored database has lost, from its metadata at Stripe.

    Raises StripeAway and StripeRefused.
    """
    if not stripe_price or subscription.prices.filter(stripe_price=stripe_price).exists():
        return
    price = stripe.fetch_price(stripe_price)
    metadata = dict(price.get("metadata") or {})
    facts = [read_number(metadata.get(name, "")) for name in ("credits", "amount", "number")]
    plan = Plan.objects.filter(pk=metadata.get("plan", "")).first()
    names = (metadata.get("site"), metadata.get("subscription"))
    is_ours = names == (settings.STRIPE_SITE, subscription.public_id)
    credits, amount, number = facts
    if not is_ours or plan is None or credits is None or amount is None or number is None:
        return
    if price.get("unit_amount") == amount:
        _write_again(subscription, price, plan, credits, amount, number)


def read_number(text: str) -> int | None:
    """Return a number from metadata, which somebody may have edited; None if it is none."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def _write_again(
    subscription: Subscription, price: Answer, plan: Plan, credits: int, amount: int, number: int
) -> None:
    """Write an agreed price. A number that another price has since is replaced by the next one."""
    with atomic():
        User.objects.locked(subscription.user_id)
        row = subscription.prices.filter(number=number).first()
        if row is not None and row.stripe_price:
            number = max(subscription.prices.values_list("number", flat=True)) + 1
        subscription.prices.update_or_create(
            number=number,
            defaults={
                "plan": plan,
                "credits": credits,
                "amount": amount,
                "stripe_price": price["id"],
            },
        )
        later = Subscription.objects.filter(pk=subscription.pk, changes__lt=number)
        later.update(changes=number)
