"""Administrators of each kind, and rows for them to look at."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from credits import ledger


@pytest.fixture
def ann(make_user):
    return make_user(credits=100)


@pytest.fixture
def operator(client, make_user):
    """A superuser, logged in."""
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def second(make_user):
    return make_user("second@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def support(make_user):
    """One of the group Support."""
    call_command("seed_roles", verbosity=0)
    user = make_user("support@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    return user


@pytest.fixture
def spend():
    def charge(user, amount, reference="gen_1"):
        hold = ledger.hold(user=user, amount=amount, reference_id=reference, seconds=720)
        ledger.capture(hold=hold, cost=amount, description="smollm2")
        return user.transactions.newest_first().first()

    return charge


@pytest.fixture
def buy():
    def purchase(user, amount, key="pi_1"):
        return ledger.add(
            user=user, amount=amount, type="purchase", description="Pro", idempotency_key=key, reference_id=key
        )

    return purchase


@pytest.fixture
def filled():
    """What a page would send, with a key of its own."""

    def form(client, path, **fields):
        key = re.search(r'name="key" value="([^"]+)"', client.get(path).content.decode())
        assert key
        return {"key": key[1], "reason": "Goodwill", "confirm": "1", **fields}

    return form
