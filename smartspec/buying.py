"""The settings of buying credits with Stripe, read from the environment."""

from typing import Any

from smartspec.environment import Environment

STRIPE = "https://api.stripe.com"
# Where Stripe's pages are: to pay, and to manage a subscription.
STRIPE_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com"]


def read_settings(env: Environment, *, debug: bool, origin: str) -> dict[str, Any]:
    """Return the settings. Without STRIPE_SECRET_KEY nothing can be paid online."""
    base = env.str("STRIPE_API_BASE", default=STRIPE).rstrip("/")
    return {
        "STRIPE_SECRET_KEY": env.str("STRIPE_SECRET_KEY", default="").strip(),
        "STRIPE_WEBHOOK_SECRETS": [
            secret.strip() for secret in env.list("STRIPE_WEBHOOK_SECRETS", default=[])
        ],
        "STRIPE_API_BASE": base,
        # The origins to which a form of ours may lead in the end.
        "STRIPE_PAGES": STRIPE_PAGES if base == STRIPE else [base],
        # Tells this installation from others that use the same Stripe account.
        "STRIPE_SITE": origin.partition("://")[2],
        "STRIPE_SECONDS": 10,
        "STRIPE_SESSION_SECONDS": 3600,
        # The currencies on sale, the default first.
        "CURRENCIES": [
            code.strip().lower()
            for code in env.list("CURRENCIES", default=["usd", "thb"] if debug else ["usd"])
        ],
        "PROMPTPAY": env.bool("PROMPTPAY", default=debug),
        "SELF_REFUND_DAYS": env.int("SELF_REFUND_DAYS", default=14),
    }
