"""The fake Stripe in this process, for tests of what happens between the site and Stripe.

The fixture `fake_stripe` starts one and lets the settings name it. What a buyer, a bank or Stripe
does is a method here; webhooks wait until `deliver` sends them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.test import Client

from smartspec.local.fake_stripe import acts, controls
from smartspec.local.fake_stripe.memory import webhooks
from smartspec.local.fake_stripe.objects.endpoints import make_endpoint
from smartspec.local.fake_stripe.server import Server, run_server

Json = dict[str, Any]
KEY = "sk_test_fakeForTests"
SECRET = "whsec_fakeForTests"
WEBHOOK = "http://testserver/stripe/webhook"


@dataclass
class FakeStripe:
    """A running fake Stripe. Payments are named by the id of a session, an intent or a charge."""

    server: Server
    endpoint: str
    client: stripe.StripeClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = stripe.StripeClient(
            KEY,
            base_addresses={"api": self.url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=10),
        )

    @property
    def url(self) -> str:
        return self.server.state.origin

    @property
    def api(self) -> Any:
        """Stripe's API through its SDK, without the types that would refuse wrong parameters."""
        return self.client.v1

    @property
    def now(self) -> int:
        return self.server.state.now()

    def act(self, name: str, **given: Any) -> Json:
        """Do one of the controls of `/_fake/`."""
        return controls.run_act(self.server.state, acts.ACTS[name], given)

    def pay(self, session: str, card: str = "visa", **options: Any) -> Json:
        """Pay by a test card, by number or by name (`chargeDeclined`); return the session.

        `authenticate`: what the buyer does if the bank wants to see them: True, False, or None for
        nothing yet.
        """
        return self.act("pay", session=session, card=card, **options)

    def pay_promptpay(self, session: str, outcome: str = "succeeded") -> Json:
        """Pay by PromptPay: `succeeded` at once, or `processing` until `settle`."""
        return self.act("pay_promptpay", session=session, outcome=outcome)

    def settle(self, payment: str, outcome: str = "succeeded") -> Json:
        """End a payment that is processing: `succeeded` or `failed`."""
        return self.act("settle", payment=payment, outcome=outcome)

    def refund(self, payment: str, amount: int | None = None, reason: str | None = None) -> Json:
        """Refund from Stripe's dashboard, so without our metadata."""
        return self.act("refund", payment=payment, amount=amount, reason=reason)

    def settle_refund(self, refund: str, status: str = "succeeded") -> Json:
        """Let a refund become `succeeded`, `failed` or `canceled`, also after it succeeded."""
        return self.act("settle_refund", refund=refund, status=status)

    def dispute(self, payment: str, **options: Any) -> Json:
        """Dispute a payment; status="warning_needs_response" is an inquiry."""
        return self.act("dispute", payment=payment, **options)

    def withdraw(self, dispute: str, amount: int | None = None) -> Json:
        return self.act("withdraw", dispute=dispute, amount=amount)

    def reinstate(self, dispute: str, amount: int | None = None) -> Json:
        return self.act("reinstate", dispute=dispute, amount=amount)

    def end_dispute(self, dispute: str, status: str) -> Json:
        """Close a dispute as `won`, `lost`, `prevented` or `warning_closed`."""
        return self.act("end_dispute", dispute=dispute, status=status)

    def warn(self, payment: str) -> Json:
        """Send an early fraud warning."""
        return self.act("warn", payment=payment)

    def advance(self, seconds: int) -> None:
        """Move the fake's own clock, and do what becomes due."""
        self.act("advance", seconds=seconds)

    def break_next(self, kind: str, times: int = 1, **options: Any) -> None:
        """Queue a fault of the next requests; `smartspec/local/fake_stripe/faults.py` has them."""
        self.act("faults", kind=kind, times=times, **options)

    def lose_next_answer(self, path: str = "") -> None:
        """Let the next POST have its effect, and its answer be lost."""
        self.break_next("drop_after", method="POST", path=path)

    def list_events(self, type: str = "") -> list[Json]:
        """Return the events so far, the oldest first; `type`: only those."""
        with self.server.state.lock:
            events = [one.object for one in self.server.state.select("event")]
        return [event for event in events if not type or event["type"] == type]

    def get(self, kind: str, object_id: str) -> Json:
        """Return an object as Stripe has it now."""
        return self.server.state.get(kind, object_id).object

    def list_objects(self, kind: str, **facts: Any) -> list[Json]:
        return [one.object for one in self.server.state.select(kind, **facts)]

    def deliver(self, client: Client | None = None, *, reverse: bool = False) -> list[str]:
        """Send the webhooks that wait: to Django's test client, else to the endpoint's address.

        Return the types of the events in the order in which they went.
        """
        state = self.server.state
        with state.lock:
            waiting = webhooks.find_waiting(state)
        sent = waiting[::-1] if reverse else waiting
        for delivery in sent:
            with state.lock:
                parcel = webhooks.pack(state, delivery)
            if parcel:
                answer = post(client, parcel) if client else webhooks.send(parcel)
                with state.lock:
                    webhooks.note_answer(state, delivery, answer)
        return [self.get("event", one.object["event"])["type"] for one in sent]

    def forget_webhooks(self) -> None:
        """Lose the webhooks that wait."""
        for delivery in self.server.state.select(webhooks.KIND, status="waiting"):
            delivery.object["status"] = "lost"

    def sign(self, body: bytes) -> str:
        """Return the Stripe-Signature header for a body of the test's own."""
        return webhooks.sign(body, [SECRET])

    def send_webhooks_to(self, url: str) -> None:
        """Send webhooks to a real server from now on, at once, as Stripe does."""
        state = self.server.state
        with state.lock:
            state.get("webhook_endpoint", self.endpoint).object["url"] = url
            state.webhook_faults.hold = False


def post(client: Client, parcel: webhooks.Parcel) -> str:
    response = client.post(
        urlsplit(parcel.url).path,
        parcel.body,
        content_type="application/json",
        headers={"Stripe-Signature": parcel.signature},
    )
    return str(response.status_code)


@contextmanager
def run_fake_stripe(settings: Any) -> Iterator[FakeStripe]:
    """Run a fake Stripe in this process, and let pytest-django's `settings` name it."""
    with run_server() as server:
        state = server.state
        state.webhook_faults.hold = True
        endpoint = make_endpoint(state, url=WEBHOOK, enabled_events=["*"], secret=SECRET)
        settings.STRIPE_SECRET_KEY = KEY
        settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
        settings.STRIPE_API_BASE = state.origin
        settings.STRIPE_PAGES = [state.origin]
        yield FakeStripe(server, endpoint.id)
