"""Every act and page of the admin, tried as every role, is as the table of acts says."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from accounts.models import User
from smartspec.admin.acts import ACTS, SUPERUSER, list_views
from smartspec.admin.roles import FINANCE, SUPPORT, VIEWER, list_roles
from tests.smartspec.administrators.admin_doors import is_let_in, list_bulk_acts, list_doors
from tools import roles_page

NOBODY = "no role"
pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(make_user: Callable[..., User], request: pytest.FixtureRequest) -> User:
    """An administrator with the role of the parameter."""
    is_superuser = request.param == SUPERUSER
    user = make_user("reader@example.com", is_staff=True, is_superuser=is_superuser)
    if request.param in list_roles():
        call_command("seed_roles", stdout=StringIO())
        user.groups.add(Group.objects.get(name=request.param))
    return user


def list_expected(role: str) -> set[str]:
    """Return the doors that the table opens for a role."""
    permissions = frozenset(list_roles().get(role, ()))
    acts = [
        act for act in (*ACTS, *list_views()) if role == SUPERUSER or act.is_allowed(permissions)
    ]
    return {door for act in acts for door in act.list_doors()}


@pytest.mark.parametrize(
    ("role", "reader"),
    [(role, role) for role in (NOBODY, VIEWER, SUPPORT, FINANCE, SUPERUSER)],
    indirect=["reader"],
)
def test_a_role_gets_through_its_doors_and_no_others(role: str, reader: User) -> None:
    expected, known = list_expected(role), list_expected(SUPERUSER)
    # What a superuser may not do is asked of the superuser only, who has every permission.
    asked = [door for door in list_doors() if role == SUPERUSER or str(door) in known]
    opened = {str(door) for door in asked if is_let_in(reader, door)} | list_bulk_acts(reader)
    assert opened - expected == set(), "open, although smartspec/admin/acts.py does not say so"
    assert expected - opened == set(), "closed, although smartspec/admin/acts.py opens it"


def test_no_role_has_a_permission_without_an_act() -> None:
    needed = {
        permission
        for act in (*ACTS, *list_views())
        for need in act.needs
        for permission in need.split("|")
    }
    for role, permissions in list_roles().items():
        assert set(permissions) - needed == set(), role


def test_nobody_without_the_right_to_enter_gets_through_any_door(
    make_user: Callable[..., User],
) -> None:
    user = make_user()
    call_command("seed_roles", stdout=StringIO())
    user.groups.set(Group.objects.all())
    assert not any(is_let_in(user, door) for door in list_doors())


def test_the_table_of_the_documentation_is_the_table_of_the_tests() -> None:
    page = roles_page.PAGE.read_text()
    assert page == roles_page.write_page(page)
    assert re.search(r"\| Adjust credits .*\| – \| ✓ \| ✓ \| ✓ \|", page)
