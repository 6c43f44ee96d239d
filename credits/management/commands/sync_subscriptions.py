from typing import Any

from django.core.management.base import BaseCommand

from credits.stripe_api.client import StripeAway, is_configured
from credits.subscriptions import comparison, endings, forgetting


class Command(BaseCommand):
    help = (
        "Compare plans with Stripe: all of them once a day, open pages every ten minutes. Let"
        " Stripe forget closed accounts, and end plans whose payment was fraud or was taken back."
        " Safe to run at any time."
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
        if ended := endings.end_due():
            self.stdout.write(f"Plans ended because of their payments: {ended}.")
        comparison.refresh_due()
        if found := comparison.compare_daily():
            self.stdout.write(f"Subscriptions and invoices found at Stripe: {found}.")
