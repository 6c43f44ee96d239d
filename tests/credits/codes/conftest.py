"""Batches of codes for the tests of redemption codes."""

from datetime import date

import pytest

from credits.codes import batches
from credits.codes.batches import Wanted


def make_wanted(**fields):
    facts = {
        "name": "Meetup",
        "size": 3,
        "credits": 100,
        "last_day": date(2090, 1, 1),
        "credit_days": None,
        "is_once_per_user": True,
        "reason": "Marketing",
    }
    return Wanted(**{**facts, **fields})


@pytest.fixture
def make_codes(make_user):
    """Return a function that makes a batch and returns it with its codes."""

    def make(**fields):
        actor = make_user("maker@example.com", is_staff=True, is_superuser=True)
        batch = batches.ask(make_wanted(**fields), actor=actor, key="form-1")
        return batch, batches.make_codes(batch, actor=actor)

    return make
