"""Questions to the ledger: what a user has, and what of a transaction can be taken back.

Nothing here changes a balance. The answers are true for one moment, unless the user's row is
locked (`ledger.lock`). Amounts are whole credits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from accounts.models import User
from credits.exceptions import UnknownAccount, build_refusal
from credits.models import Transaction


@dataclass(frozen=True, slots=True)
class Balance:
    """The credits of one user at one moment: `available` = `credits` − `held`.

    `plan` is the slug of the user's plan. `debt` is what the user owes after a lost dispute.
    """

    credits: int
    held: int
    plan: str
    debt: int = 0

    @property
    def available(self) -> int:
        return self.credits - self.held


def balance(user: User) -> Balance:
    """Return the current balance of the user. Raises UnknownAccount if the user is deleted."""
    columns = ("credits", "credits_held", "plan_id", "credits_debt")
    row = User.objects.filter(pk=user.pk).values_list(*columns).first()
    if row is None:
        raise build_refusal({"code": UnknownAccount.code})
    return Balance(*row)


def refundable(transaction: Transaction) -> int:
    """Return how many credits of a usage, purchase or paid subscription have not been reversed.

    A reversal that was itself reversed does not count. It is 0 for other transactions.
    """
    is_refundable = transaction.is_paid or transaction.type == Transaction.Type.USAGE
    return _fetch_not_reversed(transaction) if is_refundable else 0


def reversed_so_far(transaction: Transaction) -> int:
    """Return how many credits the reversals of a transaction took that are still in force.

    The part that became a debt is included.
    """
    return transaction.moved - _fetch_not_reversed(transaction)


def restorable(reversal: Transaction) -> int:
    """Return how many credits `restore` would give back; 0 if the reversal was undone before.

    The debt that it would cancel is included. It is 0 for other transactions.
    """
    original = reversal.reverses
    return _fetch_not_reversed(reversal) if original and original.is_paid else 0


def _fetch_not_reversed(transaction: Transaction) -> int:
    statement = "SELECT ledger_refundable(%s, %s)"
    return int(fetch_row(statement, [transaction.user_id, transaction.pk])[0])


def fetch_row(statement: str, parameters: Sequence[Any]) -> tuple[Any, ...]:
    """Return the one row of a statement that calls a function of the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
