"""The account that sells."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]


def retrieve_account(call: Call) -> Json:
    """Describe a Thai account, because only such accounts have PromptPay."""
    return complete(
        stripe.Account,
        {
            "id": "acct_1FakeStripe0000",
            "business_profile": {"name": "Fake Stripe, no money moves"},
            "capabilities": {
                "card_payments": "active",
                "promptpay_payments": "active",
                "transfers": "active",
            },
            "charges_enabled": True,
            "country": "TH",
            "created": call.state.now(),
            "default_currency": "thb",
            "details_submitted": True,
            "email": "seller@example.com",
            "payouts_enabled": True,
            "type": "standard",
        },
    )
