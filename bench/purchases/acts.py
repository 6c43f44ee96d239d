"""What a web worker or `tick` does in the life of a payment or plan; each runs in a fork."""

from collections.abc import Callable

from django.core.management import call_command, load_command_class

from accounts.models import Plan, User
from accounts.toolbox.request_source import Source
from credits.models import Package, Purchase, Subscription
from credits.purchases import checkout, settlement
from credits.reversals import refund_acts
from credits.reversals.apply import refresh
from credits.subscriptions import change, following
from credits.subscriptions import start as plan_start

PRICE, CREDITS, REFUNDED = 1000, 500, 300
PRO, TEAM = "drilled-pro", "drilled-team"
PLANS = {PRO: (1000, 2000), TEAM: (3000, 5000)}  # credits and minor units a month
SERVICES = (
    *("charges", "checkout", "customers", "disputes", "invoices", "payment_intents"),
    *("payment_methods", "prices", "refunds", "subscriptions"),
)
JOBS = ("run_refills", "sync_subscriptions", "settle_purchases", "settle_refunds")


def load() -> None:
    """Load what an act needs: Stripe's SDK, the parts of it that are used, and the commands."""
    import stripe
    from django.urls import get_resolver

    services = stripe.StripeClient("sk_test_none").v1
    for name in SERVICES:
        getattr(services, name)
    for command in JOBS:
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


def start_plan(email: str) -> None:
    plan = Plan.objects.get(slug=PRO)
    plan_start.start(
        user=User.objects.get(email=email),
        plan=plan,
        currency="usd",
        form_key=email,
        shown_price=PLANS[PRO][1],
        shown_credits=plan.monthly_credits,
        language="en",
        source=Source(),
    )


def follow_plan(email: str) -> None:
    """Ask how a plan stands, as the return page and each event about it do."""
    following.refresh(_find_plan(email))


def upgrade(email: str) -> None:
    _change(change.upgrade, email, TEAM)


def downgrade(email: str) -> None:
    _change(change.downgrade, email, PRO)


def cancel(email: str) -> None:
    change.cancel(_find_plan(email))


def _change(verb: Callable[..., Subscription], email: str, slug: str) -> None:
    credits, price = PLANS[slug]
    verb(
        subscription=_find_plan(email),
        plan=Plan.objects.get(slug=slug),
        form_key=f"{slug} {email}",
        shown_price=price,
        shown_credits=credits,
    )


def _find_plan(email: str) -> Subscription:
    return Subscription.objects.get(user__email=email)


def tick(email: str) -> None:
    for job in JOBS:
        call_command(job)


ACTS: dict[str, Callable[[str], None]] = {
    "buy": buy,
    "return": return_from_stripe,
    "refund": refund,
    "dispute": dispute,
    "start": start_plan,
    "follow": follow_plan,
    "upgrade": upgrade,
    "downgrade": downgrade,
    "cancel": cancel,
    # `tick` meets each of these with something else to do.
    **dict.fromkeys(("tick", "renew", "past due", "end", "refill"), tick),
}
