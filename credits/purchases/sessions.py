"""The Checkout session of a purchase: made from its row, so that a retry asks for the same.

A killed process leaves the row `new`. Whoever comes next (the same form, the return page, `tick`)
asks again with the same idempotency key, and gets the session that may be there already.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from django.conf import settings
from django.db.models import Case, F, Value, When
from django.utils import timezone

from accounts.access import account_deletion
from accounts.models import User
from credits.models import Customer, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import taxes
from credits.stripe_api import checkout, customers
from credits.stripe_api.client import Answer, StripeRefused, is_live

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

LOCALES = frozenset({"en", "th"})
Method = Literal["card", "promptpay"]


def open_session(purchase: Purchase) -> Purchase:
    """Ask Stripe for the session of a purchase that has none; return the row as it is then.

    Raises StripeAway and StripeRefused.
    """
    refuse_other_mode(purchase)
    session = ask_as_customer(purchase.user, lambda customer: _create(purchase, customer))
    note_session(purchase, session["id"], url=session.get("url") or "")
    return Purchase.objects.get(pk=purchase.pk)


def refuse_other_mode(purchase: Purchase) -> None:
    """Raise StripeRefused for a purchase of test mode if the key is live, and the other way."""
    if purchase.livemode != is_live():
        raise StripeRefused(
            "Test and live mode differ between the purchase and STRIPE_SECRET_KEY.",
            code="mode_differs",
            decline_code="",
            status=0,
            payment_intent={},
        )


def note_session(purchase: Purchase, session: str, *, url: str) -> None:
    """Write down which session a purchase has, unless it is known already."""
    Purchase.objects.filter(pk=purchase.pk, checkout_session="").update(
        checkout_session=session,
        checkout_url=url,
        state=Case(
            When(state=PurchaseState.NEW, then=Value(PurchaseState.OPEN)), default=F("state")
        ),
    )


def ask_as_customer(user: User, call: Callable[[str], Answer]) -> Answer:
    """Call Stripe with the customer of a user, again with a new one if Stripe knows it no more.

    Raises StripeAway and StripeRefused.
    """
    customer = find_customer(user)
    try:
        return call(customer)
    except StripeRefused as refusal:
        if not _is_unknown_customer(refusal):
            raise
        return call(find_customer(user, instead_of=customer))


def find_customer(user: User, *, instead_of: str = "") -> str:
    """Return the customer of a user at Stripe; make one if there is none.

    Two requests at once make one: Stripe knows the key, and the row takes the first. Stripe repeats
    a 500 to the same key for a day, so each hour has another key. `instead_of` is a customer whom
    Stripe does not know any more: of another account or mode, or deleted.
    """
    row, _ = Customer.objects.get_or_create(user=user)
    if instead_of:
        Customer.objects.filter(pk=row.pk, stripe_customer=instead_of).update(
            stripe_customer="", stripe_email=""
        )
        row.refresh_from_db()
    if not row.stripe_customer:
        hour = f"{timezone.now():%Y%m%d%H}"
        key = ":".join(filter(None, ("customer", user.public_id, instead_of, hour)))
        metadata = {"site": settings.STRIPE_SITE, "user": user.public_id}
        made = customers.make_customer(metadata=metadata, key=key)["id"]
        Customer.objects.filter(pk=row.pk, stripe_customer="").update(stripe_customer=made)
        row.refresh_from_db()
    if row.stripe_email != user.email:
        _send_email(row, user.email)
    return row.stripe_customer


def _send_email(row: Customer, email: str) -> None:
    """Tell Stripe the address, which its page shows. Without it the buyer is asked for one."""
    try:
        customers.set_email(row.stripe_customer, email)
    except StripeRefused as refusal:
        if _is_unknown_customer(refusal):
            return  # The session will be refused for the same reason, and then a new one is made.
        raise
    Customer.objects.filter(pk=row.pk).update(stripe_email=email)


@account_deletion.register_forgetter
def forget_email(user: User) -> None:
    """Forget the address that Stripe was told, when the account is closed."""
    Customer.objects.filter(user=user).update(stripe_email="")


def _is_unknown_customer(refusal: StripeRefused) -> bool:
    return refusal.code == "resource_missing" and "customer" in str(refusal).lower()


def _create(purchase: Purchase, customer: str) -> Answer:
    return checkout.open_session(
        build_parameters(purchase, customer), key=f"purchase:{purchase.public_id}:{customer}"
    )


def build_parameters(purchase: Purchase, customer: str) -> "SessionCreateParams":
    """Return the parameters of the session, which come from the row and from settings.

    The metadata of session and PaymentIntent are enough to make the row again.
    """
    assert purchase.expires_at is not None  # noqa: S101 – is set when the row is made
    metadata = describe(purchase)
    page = f"{settings.PUBLIC_ORIGIN}/account/credits"
    parameters: SessionCreateParams = {
        "mode": "payment",
        "customer": customer,
        "client_reference_id": purchase.public_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": purchase.name},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": purchase.currency,
                    "unit_amount": purchase.total,
                    "product_data": {"name": purchase.name},
                },
            }
        ],
        "allowed_payment_method_types": list_methods(purchase.currency),
        "adaptive_pricing": {"enabled": False},
        "locale": purchase.language if purchase.language in LOCALES else "auto",
        "expires_at": int(purchase.expires_at.timestamp()),
        "success_url": f"{page}/return?session={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{page}/purchases/{purchase.public_id}",
    }
    if purchase.saves_card:
        # For the card alone: saved for all methods, it would hide those that cannot be saved.
        parameters["payment_method_options"] = {"card": {"setup_future_usage": "off_session"}}
    if taxes.is_calculated_by_stripe():
        _add_tax(parameters)
    return parameters


def _add_tax(parameters: "SessionCreateParams") -> None:
    """Have Stripe add the tax to the price: it asks for the address that decides on it."""
    parameters["automatic_tax"] = {"enabled": True}
    parameters["billing_address_collection"] = "required"
    parameters["customer_update"] = {"address": "auto"}
    for line in parameters["line_items"]:
        line["price_data"]["tax_behavior"] = "exclusive"


def list_methods(currency: str) -> "list[Method | str]":
    """Return the payment methods that may be offered in this currency, if the account has them."""
    has_promptpay = settings.PROMPTPAY and currency == "thb"
    return ["card", "promptpay"] if has_promptpay else ["card"]


def describe(purchase: Purchase) -> dict[str, str]:
    """Return the metadata by which Stripe's objects are known to belong to this purchase."""
    return {
        "site": settings.STRIPE_SITE,
        "purchase": purchase.public_id,
        "user": purchase.user.public_id,
        "package": str(purchase.package_id or ""),
        "name": purchase.name,
        "credits": str(purchase.credits),
        "tax": str(purchase.tax),
        "tax_percent": str(purchase.tax_percent),
        "language": purchase.language,
    }
