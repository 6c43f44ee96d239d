"""How the drill reads and changes automatic refills, and the checks of their state."""

from collections.abc import Iterator

from accounts.models import User
from bench.purchases.acts import CREDITS, PRICE
from bench.purchases.stage import Stage
from credits import ledger
from credits.models import Customer, Package, Purchase, RefillAttempt
from credits.purchases import sessions
from credits.refills import consent

THRESHOLD = 100


def make_refill(staged: Stage, email: str) -> None:
    """Switch a refill on for a buyer who has no credits, so that it is due."""
    user = User.objects.get(email=email)
    customer = sessions.find_customer(user)
    staged.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    consent.switch_on(
        user=user,
        package=Package.objects.get(name="Drilled"),
        currency="usd",
        threshold=THRESHOLD,
        cap=10 * PRICE,
        shown_price=PRICE,
        is_confirmed=True,
    )


def make_due() -> None:
    """Make every attempt without a response due now."""
    RefillAttempt.objects.filter(state="claimed").update(next_try_at=None)


def check_refill(staged: Stage, email: str) -> Iterator[str]:
    """Yield the differences between the payments of the card and the credits."""
    user = User.objects.get(email=email)
    customer = Customer.objects.get(user=user).stripe_customer
    intents = staged.stripe.v1.payment_intents.list({"customer": customer}).data
    money = [(each.id, each.amount_received, each.status) for each in intents]
    bought = Purchase.objects.filter(user=user).values_list("payment_intent", "total", "state")
    if [(name, PRICE, "succeeded") for name, *_ in money[:1]] != money:
        yield f"the card was charged {money}, not once"
    if [(name, PRICE, "paid") for name, *_ in money[:1]] != list(bought):
        yield f"the purchases are {list(bought)}, not one that is paid"
    balance = ledger.balance(user)
    if (balance.credits, balance.debt) != (CREDITS, 0):
        yield f"{balance.credits} credits are there, not {CREDITS}"
    attempts = list(RefillAttempt.objects.filter(refill__user=user).values_list("state", flat=True))
    if attempts != ["paid"]:
        yield f"the attempts are {attempts}"
