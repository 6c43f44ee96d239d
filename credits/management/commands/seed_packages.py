from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from credits.models import Package

PACKAGES = (
    ("Starter", "To try it out", 100, "5.00", False),
    ("Basic", "For occasional use", 500, "20.00", False),
    ("Pro", "For every working day", 1500, "50.00", True),
    ("Enterprise", "For teams", 5000, "150.00", False),
)


class Command(BaseCommand):
    help = (
        "Create the four standard packages. Packages that already exist under these names are not"
        " changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for position, (name, description, credits, price, popular) in enumerate(PACKAGES, start=1):
            package, created = Package.objects.get_or_create(
                name=name,
                defaults={
                    "description": description,
                    "credits": credits,
                    "price_usd": Decimal(price),
                    "is_popular": popular,
                    "sort_order": position,
                },
            )
            self.stdout.write(f"{package.name}: {'created' if created else 'already there'}")
