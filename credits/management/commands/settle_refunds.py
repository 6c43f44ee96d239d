from typing import Any

from django.core.management.base import BaseCommand

from credits.reversals import catching_up, sending
from credits.stripe_api.client import StripeAway


class Command(BaseCommand):
    help = (
        "Send refunds that Stripe has not answered yet, and compare refunds and disputes with"
        " Stripe once an hour. Safe to run at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if sent := sending.send_due():
            self.stdout.write(f"Refunds sent: {sent}.")
        try:
            compared = catching_up.catch_up()
        except StripeAway as error:
            self.stderr.write(f"Stripe gives no answer: {error}")
        else:
            if compared:
                self.stdout.write(f"Payments compared: {compared}.")
