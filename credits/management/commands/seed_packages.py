from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from credits.models import Package

# Name, description, credits, price in cents and in satang, and whether it is marked as popular.
PACKAGES = (
    ("Starter", "To try it out", 100, 500, 179_00, False),
    ("Basic", "For occasional use", 500, 2000, 699_00, False),
    ("Pro", "For every working day", 1500, 5000, 1_790_00, True),
    ("Enterprise", "For teams", 5000, 15000, 5_290_00, False),
)


class Command(BaseCommand):
    help = (
        "Create the four standard packages. Packages that already exist under these names are not"
        " changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for position, (name, description, credits, cents, satang, popular) in enumerate(
            PACKAGES, start=1
        ):
            package, created = Package.objects.get_or_create(
                name=name,
                defaults={
                    "description": description,
                    "credits": credits,
                    "price_usd": Decimal(cents) / 100,
                    "is_popular": popular,
                    "sort_order": position,
                },
            )
            if created:
                package.prices.create(currency="usd", amount=cents)
                package.prices.create(currency="thb", amount=satang)
            self.stdout.write(f"{package.name}: {'created' if created else 'already there'}")
