"""Payments at the fake Stripe, as the tests of refunds and disputes begin with."""

from typing import TYPE_CHECKING, Any

from django.conf import settings

from accounts.models import User
from credits.models import Purchase

if TYPE_CHECKING:
    from tests.stripe import FakeStripe


def make_purchase(fake: "FakeStripe", user: User, **fields: Any) -> Purchase:
    """Make a purchase, and pay its PaymentIntent by card. It is not settled yet."""
    total = fields.pop("total", 1000)
    currency = fields.pop("currency", "usd")
    has_metadata = fields.get("kind") != "plan"  # Stripe's invoices make their own PaymentIntents.
    row = Purchase.objects.create(
        **{
            "user": user,
            "kind": "package",
            "name": "Basic",
            "credits": 500,
            "currency": currency,
            "net": total,
            "total": total,
            "livemode": False,
            "language": "en",
            **fields,
        }
    )
    intent = fake.api.payment_intents.create(
        {
            "amount": total,
            "currency": currency,
            "confirm": True,
            "payment_method": "pm_card_visa",
            "metadata": {
                "site": settings.STRIPE_SITE,
                "purchase": row.public_id,
                "user": user.public_id,
                "credits": str(row.credits),
            }
            if has_metadata
            else {},
        }
    )
    row.payment_intent = intent.id
    row.save()
    return row
