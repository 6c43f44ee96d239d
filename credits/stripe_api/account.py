"""Calls to Stripe about the account that sells."""

from credits.stripe_api.client import Answer, ask


def fetch_account() -> Answer:
    """Return the account that the key belongs to."""
    return ask(lambda client: client.v1.accounts.retrieve_current())
