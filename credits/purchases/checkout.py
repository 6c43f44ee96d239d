"""The acts of a buyer: begin a payment, cancel it.

The row of the purchase is committed before Stripe is asked, and has all that was agreed. The same
form again finds it by its key and leads to the same page of Stripe.
"""

import hashlib
import logging
from datetime import timedelta

from django.conf import settings
from django.db.transaction import atomic
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import Package, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import limits, prices, sessions, settlement
from credits.purchases.facts import Finding
from credits.purchases.refusals import CreditsChanged, NotOnSale, PaymentPageFailed, PriceChanged
from credits.stripe_api import checkout
from credits.stripe_api.client import StripeAway, StripeRefused, is_configured, is_live

logger = logging.getLogger(__name__)


def start(
    *,
    user: User,
    package: Package,
    currency: str,
    form_key: str,
    shown_price: int,
    shown_credits: int,
    language: str,
    source: Source,
    save_card: bool = False,
) -> Purchase:
    """Begin to buy a package; return the purchase, whose `checkout_url` leads to Stripe's page.

    The same `form_key` of a user again returns the same purchase of the same package and currency,
    whatever became of it. An empty one is always new. `shown_price`, in minor units, and
    `shown_credits` are what the page showed. With `save_card`, the buyer asked Stripe to keep the
    card.

    Raises ShopRefusal, and StripeAway: then the same form goes on where this call ended.
    """
    if not is_configured():
        raise NotOnSale
    key = _make_form_key(user, form_key, package, currency)
    purchase = _find_form(key) or _write_row(
        user,
        key,
        package=package,
        currency=currency,
        shown_price=shown_price,
        shown_credits=shown_credits,
        language=language,
        source=source,
        saves_card=save_card,
    )
    return _open_page(purchase) if purchase.state == PurchaseState.NEW else purchase


def cancel(purchase: Purchase) -> Purchase:
    """End a payment that is still open, so that nobody can pay it; return the row as it is then.

    If it was paid meanwhile, the credits are given. Raises StripeAway.
    """
    row = Purchase.objects.get(pk=purchase.pk)
    if row.state == PurchaseState.NEW:
        row = _open_page(row)  # its session may be there already, and its answer was lost
    if row.state == PurchaseState.OPEN:
        try:
            checkout.expire_session(row.checkout_session)
        except StripeRefused as refusal:  # it has ended before: settling tells how
            logger.info("purchase %s cannot be cancelled: %s", row.public_id, refusal)
    return settlement.settle(row)


def _make_form_key(user: User, form_key: str, package: Package, currency: str) -> str | None:
    """Return the key of this user's form, so that nobody finds the purchase of somebody else.

    A page has one key and several packages, each of which is a purchase of its own.
    """
    if not form_key:
        return None
    words = f"{user.pk}:{package.pk}:{currency}:{form_key}"
    return hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()


def _find_form(key: str | None) -> Purchase | None:
    return Purchase.objects.filter(form_key=key).first() if key else None


def _write_row(
    user: User,
    key: str | None,
    *,
    package: Package,
    currency: str,
    shown_price: int,
    shown_credits: int,
    language: str,
    source: Source,
    saves_card: bool,
) -> Purchase:
    """Commit what was agreed. A double click waits for the first one, and finds its row.

    The limits are checked under the same lock, so that requests at once do not pass them together.
    """
    now = timezone.now()
    with atomic():
        buyer = User.objects.locked(user.pk)
        if known := _find_form(key):
            return known
        price = prices.find_price(package, currency)
        if price != shown_price:
            raise PriceChanged(price=price, currency=currency)
        if package.credits != shown_credits:
            raise CreditsChanged(credits=package.credits)
        limits.check(buyer, total=price, currency=currency, source=source)
        net, tax, percent = prices.split(price, now)
        return Purchase.objects.create(
            user=buyer,
            kind=Purchase.Kind.PACKAGE,
            package=package,
            name=_describe(package, language),
            credits=package.credits,
            currency=currency,
            net=net,
            tax=tax,
            total=price,
            tax_percent=percent,
            livemode=is_live(),
            language=language,
            form_key=key,
            saves_card=saves_card,
            expires_at=now + timedelta(seconds=settings.STRIPE_SESSION_SECONDS),
        )


def _describe(package: Package, language: str) -> str:
    with translation.override(language or settings.LANGUAGE_CODE):
        return _("%(package)s: %(credits)s credits") % {
            "package": package.name,
            "credits": f"{package.credits:,}",
        }


def _open_page(purchase: Purchase) -> Purchase:
    """Open the session of a purchase. Raises PaymentPageFailed if Stripe refuses, StripeAway."""
    try:
        return sessions.open_session(purchase)
    except StripeAway:
        # Another click asks for the same session at this moment, and may have got it.
        row = Purchase.objects.get(pk=purchase.pk)
        if row.state == PurchaseState.NEW:
            raise
        return row
    except StripeRefused as refusal:
        logger.error("Stripe refuses to sell %s: %s", purchase.public_id, refusal)  # noqa: TRY400
        settlement.apply(purchase, Finding(PurchaseState.FAILED, problem=str(refusal)))
        raise PaymentPageFailed from None
