"""Who may buy how much: limits against stolen and tested cards.

A card tester wants many small tries. So only verified addresses buy, each user and network begins
few payments, a new account's day is capped in money, and repeated declines close the shop.
"""

from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import Q, Sum
from django.db.transaction import atomic
from django.utils import timezone

from accounts.mails import queue_mail
from accounts.models import User
from accounts.toolbox.rate_limits import take
from accounts.toolbox.request_source import Source, network
from credits.models import Customer, PaymentEvent, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases.refusals import (
    AddressNotVerified,
    ShopClosed,
    TooManyAttempts,
    TooMuchForToday,
)

DAY = timedelta(days=1)
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
ASKS_PER_MINUTE = 30
DECLINES = 3  # in a day, after which the shop is closed for a day
DECLINED = "A card was declined."
COUNTED = (
    PurchaseState.NEW,
    PurchaseState.OPEN,
    PurchaseState.PROCESSING,
    PurchaseState.REVIEW,
    PurchaseState.PAID,
)


def check(user: User, *, total: int, currency: str, source: Source) -> None:
    """Refuse a buyer who may not begin this payment; count it otherwise.

    `total` is in minor units. Raises AddressNotVerified, ShopClosed, TooMuchForToday,
    TooManyAttempts.
    """
    if not is_verified(user):
        raise AddressNotVerified
    refuse_closed(user)
    _check_first_days(user, total=total, currency=currency)
    _take(f"buy:{user.pk}", limit=settings.BUY_RPH, period=HOUR_SECONDS)
    _take(f"buy:day:{user.pk}", limit=settings.BUY_RPD, period=DAY_SECONDS)
    _take(
        f"buy:network:{network(source.address)}",
        limit=settings.BUY_NETWORK_RPH,
        period=HOUR_SECONDS,
    )


def is_verified(user: User) -> bool:
    """True if the user has confirmed an email address."""
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def refuse_closed(user: User) -> None:
    """Raise ShopClosed for a closed account, a frozen buyer, and a day after several declines."""
    if user.closed_at is not None:
        raise ShopClosed
    customer = Customer.objects.filter(user=user).first()
    if customer is None:
        return
    if customer.frozen_at is not None:
        raise ShopClosed
    if customer.closed_until is not None and customer.closed_until > timezone.now():
        raise ShopClosed(customer.closed_until)


def _check_first_days(user: User, *, total: int, currency: str) -> None:
    most = settings.NEW_ACCOUNT_DAY_LIMITS.get(currency)
    now = timezone.now()
    if most is None or user.date_joined < now - timedelta(days=settings.NEW_ACCOUNT_DAYS):
        return
    today = Purchase.objects.filter(
        user=user, currency=currency, created_at__gt=now - DAY, state__in=COUNTED
    ).aggregate(total=Sum("total", default=0))["total"]
    if today + total > most:
        raise TooMuchForToday(most=most, currency=currency)


def may_ask_stripe(user: User) -> bool:
    """Count a page of this user that asks Stripe; False if there were too many in this minute.

    Stripe limits the requests of the whole site, so that one user could stop the others.
    """
    return take(f"ask:{user.pk}", limit=ASKS_PER_MINUTE).allowed


def _take(key: str, *, limit: int, period: int) -> None:
    rate = take(key, limit=limit, period=period)
    if not rate.allowed:
        raise TooManyAttempts(seconds=rate.retry_after)


def is_declined_card(intent: dict[str, Any]) -> bool:
    """True if the last try to pay a PaymentIntent failed because of a card."""
    error = intent.get("last_payment_error") or {}
    return (error.get("payment_method") or {}).get("type") == "card"


def note_decline(event: PaymentEvent) -> None:
    """Close the shop for a day after the third declined card in a day.

    Each decline is one event, so an event that is applied twice counts once.
    """
    purchase, now = event.purchase, timezone.now()
    if purchase is None or purchase.kind != Purchase.Kind.PACKAGE:
        return
    others = PaymentEvent.objects.filter(
        type=event.type,
        purchase__user=purchase.user_id,
        purchase__kind=Purchase.Kind.PACKAGE,
        received_at__gt=now - DAY,
        outcome__startswith=DECLINED,
    ).exclude(pk=event.pk)
    if others.count() + 1 >= DECLINES:
        _close(purchase, until=now + DAY)


def _close(purchase: Purchase, *, until: datetime) -> None:
    """Close the shop for the buyer and tell them, unless it is closed already."""
    with atomic():
        row, _ = Customer.objects.get_or_create(user_id=purchase.user_id)
        is_open = Q(closed_until=None) | Q(closed_until__lte=timezone.now())
        closed = Customer.objects.filter(is_open, pk=row.pk).update(closed_until=until)
        if closed and purchase.user.closed_at is None:
            queue_mail(
                purchase.user,
                "credits/email/shop_closed",
                language=purchase.user.language or purchase.language or None,
                until=until,
            )
