"""Every order and repetition of what Stripe tells about a payment ends in the same balance."""

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits.models import PaymentEvent, Purchase
from credits.models.purchases import STATE_FOLLOWS
from credits.purchases import incoming_events, settlement
from tests.credits.purchases.conftest import count_credits
from tests.stripe import FakeStripe

# What happens at Stripe, and whether it ends paid.
STORIES = {
    ("pay",): True,
    ("decline", "pay"): True,
    ("promptpay", "succeed"): True,
    ("promptpay", "fail"): False,
    ("decline", "expire"): False,
    ("expire",): False,
}
numbers = itertools.count()


class Telling:
    """One payment: what Stripe knows, what we were told, and what we have looked up."""

    def __init__(self, purchase: Purchase, fake: FakeStripe, story: tuple[str, ...]) -> None:
        self.purchase, self.fake, self.left = purchase, fake, list(story)
        self.findings = [settlement.find_checkout(purchase)]
        self.told_before = len(fake.list_events())
        self.states = [purchase.state]

    def happen(self, choice: int) -> None:
        session = self.purchase.checkout_session
        acts = {
            "pay": lambda: self.fake.pay(session),
            "decline": lambda: self.fake.pay(session, "chargeDeclined"),
            "promptpay": lambda: self.fake.pay_promptpay(session, "processing"),
            "succeed": lambda: self.fake.settle(session),
            "fail": lambda: self.fake.settle(session, "failed"),
            "expire": lambda: self.fake.api.checkout.sessions.expire(session),
        }
        if self.left:
            acts[self.left.pop(0)]()

    def list_events(self) -> list[dict[str, Any]]:
        return self.fake.list_events()[self.told_before :]

    def tell(self, choice: int) -> None:
        """Send one of the events so far, perhaps not for the first time."""
        if events := self.list_events():
            self.send(events[choice % len(events)])

    def send(self, event: dict[str, Any]) -> None:
        raw = json.dumps(event).encode()
        incoming_events.store(raw, self.fake.sign(raw))
        incoming_events.replay(PaymentEvent.objects.get(stripe_id=event["id"]))

    def look(self, choice: int) -> None:
        settlement.settle(self.purchase)

    def fetch(self, choice: int) -> None:
        self.findings.append(settlement.find_checkout(self.purchase))

    def apply_late(self, choice: int) -> None:
        settlement.apply(self.purchase, self.findings[choice % len(self.findings)])

    def check(self) -> None:
        """The state has only moved forward."""
        state = Purchase.objects.get(pk=self.purchase.pk).state
        if state != self.states[-1]:
            assert state in STATE_FOLLOWS[Purchase.State(self.states[-1])]
            self.states.append(state)


STEPS = st.tuples(
    st.sampled_from(["happen", "tell", "tell", "look", "fetch", "apply_late"]), st.integers(0, 20)
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.sampled_from(sorted(STORIES)), steps=st.lists(STEPS, max_size=12), data=st.data())
def test_every_order_of_events_and_looks_ends_alike(
    make_user, buy, fake_stripe, without_limits, story, steps, data
):
    buyer = make_user(f"buyer{next(numbers)}@example.com")
    purchase = buy(user=buyer, currency="thb", shown_price=179000)
    telling = Telling(purchase, fake_stripe, story)
    for name, choice in steps:
        getattr(telling, name)(choice)
        telling.check()
    while telling.left:
        telling.happen(0)
    for event in data.draw(st.permutations(telling.list_events())):
        telling.send(event)
        telling.check()
    assert count_credits(buyer) == (1500 if STORIES[story] else 0)
    assert (telling.states[-1] == "paid") == STORIES[story]
    assert telling.states[-1] in ("paid", "failed", "expired")
