"""The start of a plan: a row with what was agreed, then Stripe's page."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import Plan, User
from accounts.toolbox.request_source import Source
from credits.models import Subscription, SubscriptionPrice
from credits.purchases import limits, sessions
from credits.purchases.refusals import PaymentPageFailed, TooManyAttempts
from credits.purchases.taxes import is_calculated_by_stripe
from credits.stripe_api import checkout
from credits.stripe_api.client import StripeRefused, is_live
from credits.subscriptions import following, prices, states
from credits.subscriptions.refusals import AlreadySubscribed, AnotherBegun

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

logger = logging.getLogger(__name__)

ENOUGH = timedelta(minutes=5)  # to pay on a page that is open already


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a buyer wants to begin: a plan at a price a month, in minor units."""

    plan: Plan
    currency: str
    amount: int

    def is_in(self, row: Subscription) -> bool:
        """True if the page of this row sells just that, and for some minutes more."""
        agreed = (row.plan_id, row.credits, row.currency, row.amount)
        mine = (self.plan.pk, self.plan.monthly_credits, self.currency, self.amount)
        assert row.expires_at is not None  # noqa: S101 – is set when the row is made
        return agreed == mine and row.expires_at > timezone.now() + ENOUGH


def start(
    *,
    user: User,
    plan: Plan,
    currency: str,
    form_key: str,
    shown_price: int,
    shown_credits: int,
    language: str,
    source: Source,
) -> Subscription:
    """Begin a plan; the row's `checkout_url` leads to Stripe's page.

    The same form again leads to the same page, and so does another tab that wants the same plan. A
    page for another plan is ended, so a buyer has one. `shown_price`, in minor units, and
    `shown_credits` are what the buyer saw.
    Raises a ShopRefusal (AlreadySubscribed, NotOnSale, PriceChanged, …) and StripeAway.
    """
    key = prices.make_form_key(user, form_key, plan, currency)
    row = _find_form(key)
    if row is not None and row.status == "expired":
        row, key = None, None  # Its page was ended, so the same form begins anew.
    if row is None:
        limits.refuse_closed(user)
        amount = prices.check_shown(
            plan, currency, shown_price=shown_price, shown_credits=shown_credits
        )
        wanted = Wanted(plan, currency, amount)
        row = _find_open(user, wanted)
        if row is None:
            limits.check(user, total=amount, currency=currency, source=source)
            row = _write(user, wanted, key)
    return open_page(row, language=language)


def _find_form(key: str | None) -> Subscription | None:
    return Subscription.objects.filter(form_key=key).first() if key else None


def _find_open(user: User, wanted: Wanted) -> Subscription | None:
    """Return the page on which this can be paid already; end those for other plans.

    Stripe is asked first: a page may have been paid just now, before its event came. Raises
    AlreadySubscribed, TooManyAttempts and StripeAway.
    """
    kept = None
    opened = list(following.list_open(user))
    if opened and not limits.may_ask_stripe(user):
        raise TooManyAttempts(seconds=60)
    for row in opened:
        row = following.refresh(row)
        if row.stripe_id or row.ended_at is not None:
            continue
        if kept is None and wanted.is_in(row):
            kept = row
        else:
            following.give_up(row)
    if find_running(user) is not None:
        raise AlreadySubscribed
    return kept


def _write(user: User, wanted: Wanted, form_key: str | None) -> Subscription:
    """Write what is agreed. Of two requests at once for the same, the second gets the first's row.

    Of two for different plans the later one stays: the other page is ended by the request that
    opens it. Raises AlreadySubscribed.
    """
    plan = wanted.plan
    with atomic():
        User.objects.locked(user.pk)
        if row := _find_form(form_key):
            return row
        if find_running(user) is not None:
            raise AlreadySubscribed
        for other in following.list_open(user):
            if wanted.is_in(other):
                return other
            states.note_unopened(other)
        row = Subscription.objects.create(
            user=user,
            plan=plan,
            credits=plan.monthly_credits,
            currency=wanted.currency,
            amount=wanted.amount,
            livemode=is_live(),
            form_key=form_key,
            expires_at=timezone.now() + timedelta(seconds=settings.STRIPE_SESSION_SECONDS),
        )
        row.prices.create(number=1, plan=plan, credits=row.credits, amount=wanted.amount)
    return row


def find_running(user: User) -> Subscription | None:
    """Return the subscription of a user that Stripe still bills; None if there is none."""
    running = Subscription.objects.filter(
        user=user, livemode=is_live(), status__in=Subscription.RUNNING
    )
    return running.order_by("id").first()


def open_page(row: Subscription, *, language: str = "") -> Subscription:
    """Open Stripe's page for a row that has none, and return the row.

    A page of a row that was ended meanwhile is ended too. Raises AnotherBegun, PaymentPageFailed
    and StripeAway.
    """
    if row.checkout_session:
        return row
    try:
        price = prices.make_at_stripe(row.prices.get(number=1))
        session = sessions.ask_as_customer(
            row.user,
            lambda customer: checkout.open_session(
                build_parameters(row, price, customer, language),
                key=f"subscription:{row.public_id}:{customer}",
            ),
        )
    except StripeRefused as refusal:
        logger.error("the page of subscription %s is refused: %s", row.public_id, refusal)  # noqa: TRY400
        raise PaymentPageFailed from None
    Subscription.objects.filter(pk=row.pk, checkout_session="").update(
        checkout_session=session["id"], checkout_url=session["url"]
    )
    Subscription.objects.filter(pk=row.pk, status="new").update(status="open")
    row.refresh_from_db()
    return _close_unless_wanted(row)


def _close_unless_wanted(row: Subscription) -> Subscription:
    """Return a row whose page was just opened, unless another tab has begun something since."""
    if row.status == "expired":
        following.give_up(row)
        raise AnotherBegun
    for other in following.list_open(row.user).filter(pk__lt=row.pk).exclude(checkout_session=""):
        following.give_up(other)
    if find_running(row.user) not in (None, row):
        following.give_up(row)
        raise AlreadySubscribed
    return row


def build_parameters(
    row: Subscription, price: SubscriptionPrice, customer: str, language: str
) -> "SessionCreateParams":
    """Return the parameters of the session. Only cards can pay by the month without the buyer."""
    assert row.expires_at is not None  # noqa: S101 – is set when the row is made
    metadata = prices.describe(price)
    page = f"{settings.PUBLIC_ORIGIN}/account/credits"
    parameters: SessionCreateParams = {
        "mode": "subscription",
        "customer": customer,
        "client_reference_id": row.public_id,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "line_items": [{"price": price.stripe_price, "quantity": 1}],
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "locale": "th" if language.startswith("th") else "auto",
        "expires_at": int(row.expires_at.timestamp()),
        "success_url": f"{page}/return?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{page}/plan",
    }
    if is_calculated_by_stripe():
        parameters["automatic_tax"] = {"enabled": True}
        parameters["billing_address_collection"] = "required"
        parameters["customer_update"] = {"address": "auto"}
    return parameters
