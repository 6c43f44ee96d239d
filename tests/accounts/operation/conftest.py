from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User

PAGE = "/admin/accounts/operatorsettings/"


@pytest.fixture
def admin(make_user: Callable[..., User]) -> User:
    return make_user("admin@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def operator(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


@pytest.fixture
def set_values(operator: Client, django_capture_on_commit_callbacks: Any) -> Callable[..., Any]:
    """Change settings on the page, as an administrator does, and return the last response."""

    def change(reason: str = "For this test", **values: str) -> Any:
        sent = read_form(operator.get(PAGE)) | values
        with django_capture_on_commit_callbacks(execute=True):
            return operator.post(PAGE, sent | {"reason": reason, "confirm": "1"})

    return change


def read_form(page: Any) -> dict[str, str]:
    """Return what a browser sends if nothing was typed on the page."""
    form = page.context["form"]
    sent = {"number": str(form.now.number)}
    for bound in form:
        value = bound.value()
        if value is not None and value is not False:
            sent[bound.html_name] = "on" if value is True else str(value)
    return sent
