"""What django-allauth asks of this product."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from accounts.devices import client_address, network


class AccountAdapter(DefaultAccountAdapter):
    def clean_email(self, email: str) -> str:
        """Addresses are one person's in any letter case, so they are kept in one."""
        return str(super().clean_email(email)).strip().lower()

    def populate_username(self, request: Any, user: Any) -> None:
        """There are no user names."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """What its limits count as one caller: the same as ours do."""
        return network(client_address(request))
