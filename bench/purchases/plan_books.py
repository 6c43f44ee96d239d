"""How the drill reads and changes plans, and the checks of their state."""

from collections.abc import Iterator

from accounts.models import Plan, User
from bench.purchases.acts import PLANS, PRO
from bench.purchases.stage import Stage
from credits import ledger
from credits.models import Purchase, Subscription, Transaction
from credits.stripe_api import subscriptions as stripe

FREE = "free"


def make_plans() -> None:
    for slug, (credits, price) in PLANS.items():
        plan = Plan.objects.create(slug=slug, name=slug, monthly_credits=credits)
        plan.prices.create(currency="usd", amount=price)


def find_plan(email: str) -> Subscription:
    return Subscription.objects.get(user__email=email)


def make_due() -> None:
    """Make every running plan due for a comparison with Stripe."""
    Subscription.objects.filter(ended_at=None).update(checked_at=None)


def spoil_card(staged: Stage, email: str) -> None:
    """Set a card that is declined for the next months."""
    row = find_plan(email)
    _use_card(staged, row, "chargeCustomerFail")


def pay_past_due(staged: Stage, email: str) -> None:
    """Pay the invoice that waits with another card, as the buyer does on its page."""
    row = find_plan(email)
    method = _use_card(staged, row, "visa")
    invoice = stripe.fetch(row.stripe_id)["latest_invoice"]
    staged.stripe.v1.invoices.pay(invoice["id"], {"payment_method": method})


def _use_card(staged: Stage, row: Subscription, card: str) -> str:
    customer = stripe.fetch(row.stripe_id)["customer"]
    api = staged.stripe.v1
    method = api.payment_methods.attach(f"pm_card_{card}", {"customer": customer}).id
    api.subscriptions.update(row.stripe_id, {"default_payment_method": method})
    return str(method)


def end_plan(email: str) -> None:
    """End the plan in Stripe's dashboard, so that it is not renewed during other scripts."""
    row = find_plan(email)
    if row.stripe_id and row.ended_at is None:
        stripe.cancel_now(row.stripe_id)


def check_past_due(email: str) -> Iterator[str]:
    row = find_plan(email)
    if (row.status, bool(row.reminded)) != ("past_due", True):
        yield f"the plan is {row.status}, and the buyer was told of {row.reminded or 'nothing'}"


def check_plan(staged: Stage, email: str, given: list[int], plan: str = PRO) -> Iterator[str]:
    """Yield the differences between the paid invoices at Stripe and the buyer's credits.

    `given` are the credits of each paid month; `plan` is the plan of the user in the end.
    """
    user, row = User.objects.get(email=email), find_plan(email)
    rows = Transaction.objects.filter(user=user, type="subscription").order_by("seq")
    found, balance = list(rows.values_list("amount", flat=True)), ledger.balance(user)
    if (found, balance.credits, balance.debt) != (given, sum(given), 0):
        yield f"{found} were given, {balance.credits} credits are there; not {given}"
    if user.plan_id != plan:
        yield f"the user has the plan {user.plan_id}, not {plan}"
    yield from _compare_invoices(staged, row)
    yield from compare_with_stripe(row)


def _compare_invoices(staged: Stage, row: Subscription) -> Iterator[str]:
    if not row.stripe_id:
        yield f"subscription {row.public_id} is {row.status} and has none at Stripe"
        return
    paid = staged.stripe.v1.invoices.list({"subscription": row.stripe_id, "status": "paid"})
    bought = Purchase.objects.filter(user=row.user_id, state="paid")
    money = sorted((each.id, each.amount_paid) for each in paid.data)
    if sorted(bought.values_list("invoice", "total")) != money:
        yield f"the invoices that were paid are {money}"
    if other := Purchase.objects.filter(user=row.user_id).exclude(state="paid").first():
        yield f"purchase {other.public_id} is {other.state}"


def compare_with_stripe(row: Subscription) -> Iterator[str]:
    """Yield the differences between a row and its subscription at Stripe."""
    answer = stripe.fetch(row.stripe_id)
    item = answer["items"]["data"][0]
    theirs = (answer["status"], answer["cancel_at_period_end"], item["price"]["id"])
    ours = (row.status, row.cancels_at_end, row.stripe_price)
    if ours != theirs or row.problem:
        yield f"subscription {row.public_id} is {ours} here ({row.problem}), {theirs} at Stripe"


def compare_all() -> Iterator[str]:
    """Compare every subscription, both ways."""
    rows = {row.stripe_id: row for row in Subscription.objects.exclude(stripe_id="")}
    there = {answer["id"] for answer in stripe.list_subscriptions(status="all")}
    yield from (f"Stripe alone has subscription {name}" for name in there - set(rows))
    for row in rows.values():
        yield from compare_with_stripe(row)
