"""What a web worker or `tick` does in the life of a payment; each runs in a fork."""

from collections.abc import Callable

from django.core.management import call_command, load_command_class

from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.models import Package, Purchase
from credits.purchases import checkout, settlement
from credits.reversals import refund_acts
from credits.reversals.apply import refresh

PRICE, CREDITS, REFUNDED = 1000, 500, 300


def load() -> None:
    """Load what an act needs: Stripe's SDK, the parts of it that are used, and the commands."""
    import stripe
    from django.urls import get_resolver

    services = stripe.StripeClient("sk_test_none").v1
    for name in ("charges", "checkout", "customers", "disputes", "payment_intents", "refunds"):
        getattr(services, name)
    for command in ("settle_purchases", "settle_refunds"):
        load_command_class("credits", command)
    get_resolver().url_patterns  # noqa: B018 – loads the addresses


def buy(email: str) -> None:
    """Send the form of the page; the same form again leads to the same payment."""
    package = Package.objects.get(name="Drilled")
    checkout.start(
        user=User.objects.get(email=email),
        package=package,
        currency="usd",
        form_key=email,
        shown_price=PRICE,
        shown_credits=package.credits,
        language="en",
        source=Source(),
    )


def return_from_stripe(email: str) -> None:
    settlement.settle(Purchase.objects.get(user__email=email))


def refund(email: str) -> None:
    purchase = Purchase.objects.get(user__email=email)
    refund_acts.refund(purchase, REFUNDED, None, "Drilled", None, f"refund {email}")


def dispute(email: str) -> None:
    """Compare the payment, as the event of a dispute makes a worker do."""
    refresh(Purchase.objects.get(user__email=email))


def tick(email: str) -> None:
    call_command("settle_purchases")
    call_command("settle_refunds")


ACTS: dict[str, Callable[[str], None]] = {
    "buy": buy,
    "return": return_from_stripe,
    "refund": refund,
    "dispute": dispute,
    "tick": tick,
}
