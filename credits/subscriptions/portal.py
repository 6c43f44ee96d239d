"""Stripe's billing portal: the card, the invoices, and the end of a plan."""

from django.conf import settings

from accounts.models import User
from credits.purchases import sessions
from credits.stripe_api import subscriptions as stripe

# Changes with what the portal offers, so that a new version makes a new configuration.
VERSION = "1"


def open_portal(user: User) -> str:
    """Return the address of the portal for a user, which works for some minutes.

    Raises StripeAway and StripeRefused.
    """
    configuration = find_configuration()
    session = sessions.ask_as_customer(
        user,
        lambda customer: stripe.open_portal(
            customer=customer,
            configuration=configuration,
            return_url=f"{settings.PUBLIC_ORIGIN}/account/credits/plan",
        ),
    )
    return str(session["url"])


def find_configuration() -> str:
    """Return our configuration of the portal at Stripe; make it if there is none."""
    metadata = {"site": settings.STRIPE_SITE, "version": VERSION}
    for configuration in stripe.list_portal_configurations():
        if dict(configuration.get("metadata") or {}) == metadata:
            return str(configuration["id"])
    key = f"portal:{settings.STRIPE_SITE}:{VERSION}"
    return str(stripe.make_portal_configuration(metadata=metadata, key=key)["id"])
