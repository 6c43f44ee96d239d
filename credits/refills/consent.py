"""The consent to automatic refills: what a buyer agrees to, in words that are kept.

Only `switch_on` switches a refill on. No purchase and no change of the card does.
"""

from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from credits.currencies import format_amount
from credits.models import Package, Refill
from credits.purchases import limits, prices
from credits.purchases.refusals import PriceChanged
from credits.refills import card
from credits.refills.refusals import BadCap, BadThreshold, NoCard, WouldChargeNow

MOST_REFILLS = 100  # The highest monthly cap, in refills.


def switch_on(
    *,
    user: User,
    package: Package,
    currency: str,
    threshold: int,
    cap: int,
    shown_price: int,
    is_confirmed: bool,
) -> Refill:
    """Switch refills on: below `threshold` credits, the package is bought, up to `cap` a month.

    `cap` and `shown_price` are in minor units. `is_confirmed` says that the buyer agreed to a
    charge that follows at once. The words of the consent are stored in the active language.

    Raises a ShopRefusal: NotOnSale, PriceChanged, BadThreshold, BadCap, NoCard (then the settings
    are kept), WouldChargeNow, ShopClosed; and StripeAway.
    """
    limits.refuse_closed(user)
    price = _check(package, currency, threshold, cap, shown_price)
    terms = {
        "package": package,
        "credits": package.credits,
        "currency": currency,
        "price": price,
        "threshold": threshold,
        "monthly_cap": cap,
    }
    saved = card.find_card(user)
    if saved is None:
        _keep_settings(user, terms)
        raise NoCard
    words = describe_consent(
        package=package, currency=currency, price=price, threshold=threshold, cap=cap, card=saved[1]
    )
    with atomic():
        if User.objects.locked(user.pk).credits < threshold and not is_confirmed:
            raise WouldChargeNow(price=price, currency=currency)
        now = timezone.now()
        refill, _created = Refill.objects.update_or_create(
            user=user,
            defaults={
                **terms,
                "payment_method": saved[0],
                "card": saved[1],
                "enabled_at": now,
                "consented_at": now,
                "consent": words,
                "paused_because": "",
                "failures": 0,
            },
        )
    return refill


def switch_off(user: User) -> None:
    """Switch refills off. A charge that is under way still ends as the bank decides."""
    Refill.objects.filter(user=user).update(enabled_at=None, paused_because="")


def describe_consent(
    *, package: Package, currency: str, price: int, threshold: int, cap: int, card: str
) -> str:
    """Return the words that a buyer agrees to, in the active language."""
    return _(
        "When my balance is below %(threshold)s credits, charge %(card)s with %(price)s for"
        " %(credits)s credits (%(package)s). Charge at most %(cap)s in a calendar month, and at"
        " most once an hour. I can switch this off at any time."
    ) % {
        "threshold": f"{threshold:,}",
        "card": card,
        "price": format_amount(price, currency),
        "credits": f"{package.credits:,}",
        "package": package.name,
        "cap": format_amount(cap, currency),
    }


def _check(package: Package, currency: str, threshold: int, cap: int, shown_price: int) -> int:
    """Return the price. Raises NotOnSale, PriceChanged, BadThreshold and BadCap.

    A package that does not lift the balance over the threshold would be bought again every hour.
    """
    price = prices.find_refill_price(package, currency)
    if price != shown_price:
        raise PriceChanged(price=price, currency=currency)
    if not 1 <= threshold <= package.credits:
        raise BadThreshold(most=package.credits)
    if not price <= cap <= price * MOST_REFILLS:
        raise BadCap(least=price, most=price * MOST_REFILLS, currency=currency)
    return price


def _keep_settings(user: User, terms: dict[str, object]) -> None:
    Refill.objects.update_or_create(user=user, defaults={**terms, "enabled_at": None})
