"""The saved card that refills are charged to."""

import hashlib
from dataclasses import dataclass

from django.conf import settings

from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import Customer, Refill
from credits.purchases import limits, sessions
from credits.purchases.facts import Object, as_object
from credits.stripe_api import cards, checkout
from credits.stripe_api.client import StripeRefused


def start_setup(*, user: User, currency: str, form_key: str, source: Source) -> str:
    """Return the address of Stripe's page on which a card is saved, without a payment.

    The same form again leads to the same page. Raises a ShopRefusal, StripeAway and StripeRefused.
    """
    limits.check(user, total=0, currency=currency, source=source)
    page = f"{settings.PUBLIC_ORIGIN}/account/credits/refill"
    key = hashlib.sha256(f"{user.pk}:{form_key}".encode(errors="surrogatepass")).hexdigest()
    session = sessions.ask_as_customer(
        user,
        lambda customer: checkout.open_session(
            {
                "mode": "setup",
                "customer": customer,
                "client_reference_id": user.public_id,
                "metadata": {"site": settings.STRIPE_SITE, "user": user.public_id},
                "allowed_payment_method_types": ["card"],
                "success_url": f"{page}?session={{CHECKOUT_SESSION_ID}}",
                "cancel_url": page,
            },
            key=f"card:{key}:{customer}",
        ),
    )
    return str(session["url"])


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that `owner` has saved on Stripe's page. `name` is what its owner calls it."""

    owner: User
    payment_method: str
    name: str


def find_saved(session: str) -> SavedCard | None:
    """Return the card that was saved in a session; None if it is not ours, or not finished.

    Raises StripeAway and StripeRefused.
    """
    answer = cards.fetch_setup(session)
    metadata = dict(answer.get("metadata") or {})
    method = as_object(as_object(answer.get("setup_intent")).get("payment_method"))
    is_ours = answer.get("mode") == "setup" and metadata.get("site") == settings.STRIPE_SITE
    if not is_ours or answer["status"] != "complete" or not method.get("card"):
        return None
    user = User.objects.filter(public_id=metadata.get("user", ""), closed_at=None).first()
    customer = as_object(answer.get("customer")).get("id", "")
    if user is None or not Customer.objects.filter(user=user, stripe_customer=customer).exists():
        return None
    return SavedCard(user, method["id"], describe_card(method))


def take_over(saved: SavedCard) -> Refill | None:
    """Charge this card from now on; return the refill of its owner, which stays off if it was off.

    None if the owner has no refill yet: `switch_on` finds the card.
    """
    refills = Refill.objects.filter(user=saved.owner)
    refills.update(payment_method=saved.payment_method, card=saved.name)
    return refills.first()


def find_card(user: User) -> tuple[str, str] | None:
    """Return the id and the description of the card to charge; None if no card is saved.

    It is the one of the refill if Stripe still has it, else the one that was saved last. Raises
    StripeAway and StripeRefused.
    """
    customer = Customer.objects.filter(user=user).exclude(stripe_customer="").first()
    if customer is None:
        return None
    saved = _list_saved(customer.stripe_customer)
    if not saved:
        return None
    known = Refill.objects.filter(user=user).values_list("payment_method", flat=True).first()
    chosen = saved.get(known or "", next(iter(saved.values())))
    return chosen["id"], describe_card(chosen)


def _list_saved(customer: str) -> dict[str, Object]:
    """Return the saved cards by their ids, the newest first; none of a customer who is gone."""
    try:
        return {card["id"]: card for card in cards.list_cards(customer)}
    except StripeRefused as refusal:
        if refusal.status != 404:
            raise
        return {}


def describe_card(method: Object) -> str:
    """Return what a card is called for its owner: Visa •••• 4242."""
    brand = str(method["card"].get("brand") or "card").replace("_", " ").title()
    return f"{brand} •••• {method['card'].get('last4') or ''}"


def forget_card(payment_method: str) -> int:
    """Forget a card that Stripe does not have any more; return how many refills had it."""
    return Refill.objects.filter(payment_method=payment_method).update(payment_method="", card="")
