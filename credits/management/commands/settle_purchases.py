from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from credits.purchases import comparison, incoming_events, retention
from credits.stripe_api.client import StripeAway, is_configured


class Command(BaseCommand):
    help = (
        "Apply the events of Stripe that wait, ask about payments that have been open for ten"
        " minutes, and once a day compare the last 14 days with Stripe. Remove personal data from"
        " events that are older than PAYMENT_EVENT_DAYS."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--compare", action="store_true", help="compare now")

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_configured():
            return
        events, settled = incoming_events.apply_due(), comparison.settle_open()
        try:
            compared = comparison.compare() if options["compare"] else comparison.compare_daily()
        except StripeAway as error:
            self.stderr.write(f"The comparison waits, because Stripe is away: {error}")
            compared = None
        reduced = retention.reduce_due()
        self.stdout.write(f"{events} events applied, {settled} open payments settled")
        if reduced:
            self.stdout.write(f"{reduced} events reduced to what has no personal data")
        if compared is not None:
            self.stdout.write(
                f"compared {compared.payments} payments with {compared.purchases} purchases:"
                f" {compared.caught_up} caught up, {compared.problems} problems"
            )
            self.stdout.write(compared.report)
