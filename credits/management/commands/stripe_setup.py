from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from credits.purchases.incoming_events import HANDLERS
from credits.stripe_api import account, webhooks
from credits.stripe_api.client import Answer, StripeAway, StripeRefused, is_configured, is_live

MADE = """Made the endpoint {id} for {url}.
Its secret is shown this once. Set it, and restart the site:

    STRIPE_WEBHOOK_SECRETS={secret}
"""
OTHER_VERSION = (
    "The endpoint {id} sends events of version {version}, and this code reads {ours}. That works,"
    " because an event is only a hint; to change it, run stripe_setup --replace."
)
NOT_SET = (
    "STRIPE_WEBHOOK_SECRETS is empty. The secret of {id} is in Stripe's dashboard, under"
    " Developers, Webhooks; or run stripe_setup --replace for a new one."
)
REPLACED = (
    "{id} sends events, too, until you delete it in Stripe's dashboard. Keep its secret beside the"
    " new one until then, separated by a comma. An event that comes twice is stored once."
)


class Command(BaseCommand):
    help = (
        "Make or update the webhook endpoint at Stripe, and say what is missing there. Run it after"
        " STRIPE_SECRET_KEY was set, and after each upgrade."
    )

    # It runs before the secret is known, without which the checks do not pass.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--replace", action="store_true", help="make a new endpoint with a new secret"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_configured():
            raise CommandError("Set STRIPE_SECRET_KEY first: docs/purchases.md says where it is.")
        try:
            self._set_endpoint(replace=options["replace"])
            missing = list(find_missing(account.fetch_account()))
        except (StripeAway, StripeRefused) as error:
            raise CommandError(f"Stripe says: {error}") from error
        for sentence in missing:
            self.stdout.write(f"Missing: {sentence}")
        if not missing:
            mode = "live mode: real money moves" if is_live() else "test mode: no money moves"
            self.stdout.write(f"Nothing is missing. The key is of {mode}.")

    def _set_endpoint(self, *, replace: bool) -> None:
        url, events = f"{settings.PUBLIC_ORIGIN}{reverse('stripe_webhook')}", sorted(HANDLERS)
        known = [one for one in webhooks.list_endpoints() if one["url"] == url]
        if replace or not known:
            made = webhooks.make_endpoint(url=url, events=events)
            self.stdout.write(MADE.format(**made))
        for endpoint in known:
            if replace:
                self.stdout.write(REPLACED.format(**endpoint))
            else:
                self._update(endpoint, events)

    def _update(self, endpoint: Answer, events: list[str]) -> None:
        webhooks.change_endpoint(endpoint["id"], events=events)
        self.stdout.write(f"The endpoint {endpoint['id']} gets {len(events)} types of events.")
        version, ours = endpoint.get("api_version"), webhooks.get_version()
        if version != ours:
            self.stdout.write(OTHER_VERSION.format(id=endpoint["id"], version=version, ours=ours))
        if not any(settings.STRIPE_WEBHOOK_SECRETS):
            self.stdout.write(NOT_SET.format(**endpoint))


def find_missing(seller: Answer) -> Iterator[str]:
    """Yield what the account at Stripe lacks for what is sold here, in sentences."""
    capabilities = seller.get("capabilities") or {}
    if not seller.get("charges_enabled"):
        yield "the account may not charge yet. Finish its activation in Stripe's dashboard."
    if capabilities.get("card_payments") != "active":
        yield "payments by card are not active."
    if not (settings.PROMPTPAY and "thb" in settings.CURRENCIES):
        return
    if seller.get("country") != "TH":
        yield (
            f"PROMPTPAY is set, but the account is of {seller.get('country')}: only Thai accounts"
            " have PromptPay. Unset it."
        )
    elif capabilities.get("promptpay_payments") != "active":
        yield "PromptPay is not active: switch it on in Settings, Payment methods."
