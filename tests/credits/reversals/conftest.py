"""A buyer for the tests of refunds and disputes."""

import itertools
from collections.abc import Callable

import pytest

from accounts.models import User
from tests.credits.audited import audited  # noqa: F401 – runs after each test

_numbers = itertools.count(1)


@pytest.fixture
def buyer(db: None, make_user: Callable[..., User]) -> User:
    return make_user(f"buyer{next(_numbers)}@example.com")
