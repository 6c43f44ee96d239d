"""What django-allauth asks of this product."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def clean_email(self, email: str) -> str:
        """Addresses are one person's in any letter case, so they are kept in one."""
        return str(super().clean_email(email)).strip().lower()

    def populate_username(self, request: Any, user: Any) -> None:
        """There are no user names."""
