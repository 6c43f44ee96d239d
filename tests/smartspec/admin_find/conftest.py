"""An administrator who may view everything, and one row of each kind."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from tests.smartspec.admin_find.world import World, build_world


@pytest.fixture
def boss(client: Client, make_user: Callable[..., User]) -> User:
    boss = make_user("boss@example.org", is_staff=True, is_superuser=True)
    client.force_login(boss)
    return boss


@pytest.fixture
def world(boss: User, make_user: Callable[..., User]) -> World:
    return build_world(make_user("ann.lee@example.com"), boss)
