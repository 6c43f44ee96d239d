"""Calls to Stripe about customers: our users, as Stripe knows them."""

from collections.abc import Mapping

from credits.stripe_api.client import Answer, ask


def make_customer(*, metadata: Mapping[str, str], key: str) -> Answer:
    """Make a customer. The parameters never change, so the same key makes the same one."""
    return ask(
        lambda client: client.v1.customers.create(
            {"metadata": dict(metadata)}, {"idempotency_key": key}
        )
    )


def set_email(customer: str, email: str) -> Answer:
    """Change the address that Stripe's page shows."""
    return ask(lambda client: client.v1.customers.update(customer, {"email": email}))
