from typing import Any

from django.core.management.base import BaseCommand

from credits.stripe_api.client import StripeAway, is_configured
from credits.subscriptions import comparison, forgetting


class Command(BaseCommand):
    help = (
        "Compare plans with Stripe: all of them once a day, open pages every ten minutes. Let"
        " Stripe forget closed accounts. Safe to run at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_configured():
            return
        try:
            self._sync()
        except StripeAway as error:
            self.stdout.write(f"Stripe gives no answer, the next run goes on: {error}")

    def _sync(self) -> None:
        if forgotten := forgetting.forget_due():
            self.stdout.write(f"Closed accounts forgotten at Stripe: {forgotten}.")
        comparison.refresh_due()
        if found := comparison.compare_daily():
            self.stdout.write(f"Subscriptions and invoices found at Stripe: {found}.")
