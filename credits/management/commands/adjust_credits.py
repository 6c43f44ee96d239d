from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from credits import ledger
from credits.exceptions import LedgerRefusal
from credits.models import Transaction


class Command(BaseCommand):
    help = (
        "Correct a user's balance with a reason, which the user can read. Writes one transaction."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("amount", type=int, help="whole credits, negative to take some away")
        parser.add_argument("--reason", required=True)
        parser.add_argument(
            "--type",
            default=Transaction.Type.ADJUSTMENT,
            choices=sorted(kind.value for kind in ledger.ADJUSTMENTS),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.find(options["email"])
        if user is None:
            raise CommandError(f"There is no user with the address {options['email']}.")
        try:
            posted = ledger.adjust(
                user=user,
                amount=options["amount"],
                reason=options["reason"],
                actor=None,
                type=options["type"],
            )
        except LedgerRefusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{user}: {posted.amount:+} credits, balance {posted.balance_after}.")
