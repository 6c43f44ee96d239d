"""The shop's tests: a package on sale, and its buyer, who is logged in."""

import pytest
from django.test import Client

from accounts.models import User
from tests.credits.purchase_rows import make_purchase, package  # noqa: F401 – fixtures


@pytest.fixture
def buyer(client: Client, make_user) -> User:
    user: User = make_user("buyer@example.com")
    client.force_login(user)
    return user
