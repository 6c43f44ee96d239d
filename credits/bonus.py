"""The credits a new user starts with."""

from datetime import timedelta
from typing import Any

from django.conf import settings

from accounts.models import User
from credits import ledger
from credits.models import Transaction


def grant_signup_bonus(user: User) -> Transaction | None:
    """`SIGNUP_BONUS_CREDITS`, once per user; None where the installation gives none."""
    if not settings.SIGNUP_BONUS_CREDITS:
        return None
    days = settings.SIGNUP_BONUS_DAYS
    return ledger.add(
        user=user,
        amount=settings.SIGNUP_BONUS_CREDITS,
        type=Transaction.Type.BONUS,
        description="Welcome bonus",
        idempotency_key="signup",
        expires_at=user.date_joined + timedelta(days=days) if days else None,
    )


def on_sign_up(user: User, **signal: Any) -> None:
    grant_signup_bonus(user)
