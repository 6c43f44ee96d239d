"""The sign-up bonus, which users get once their address is verified (docs/decisions/0012)."""

from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.db.transaction import atomic

from accounts import bonus_addresses
from accounts.models import User
from accounts.operation import current as operation
from credits import ledger
from credits.models import Transaction

KEY = "signup"


def grant_signup_bonus(user: User) -> Transaction | None:
    """Grant the sign-up bonus once per user and per address.

    Return None if the bonus is switched off, or if the user or the address has had it before.
    """
    amount, days = operation.read_signup_bonus()
    if not amount or Transaction.objects.filter(user=user, idempotency_key=KEY).exists():
        return None
    with atomic():
        if not bonus_addresses.claim_bonus(user.email):
            return None
        return ledger.add(
            user=user,
            amount=amount,
            type=Transaction.Type.BONUS,
            description="Welcome bonus",
            idempotency_key=KEY,
            expires_at=user.date_joined + timedelta(days=days) if days else None,
        )


def on_email_confirmed(email_address: EmailAddress, **signal: Any) -> None:
    """Grant the bonus if this is the user's only verified address (allauth's signal).

    allauth sends the signal for a changed address, too; the old address still exists then.
    """
    others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True).exclude(
        pk=email_address.pk
    )
    if not others.exists():
        grant_signup_bonus(email_address.user)
