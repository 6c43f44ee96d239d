from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from llmproxy.usage import folding
from smartspec.admin.charts.page import ChartPage

NOW = datetime(2026, 3, 4, 12, 34, 56, tzinfo=UTC)  # a Wednesday


@pytest.fixture
def now() -> Iterator[datetime]:
    with time_machine.travel(NOW, tick=False):
        yield NOW


@pytest.fixture
def operator(client: Client, make_user: Any) -> User:
    user: User = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def fold(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that folds as if it were a moment after NOW."""
    monkeypatch.setattr(folding, "_read_clock", lambda: NOW + folding.GRACE)
    return folding.fold


def read_page(client: Client, range_name: str) -> ChartPage:
    page = client.get(f"/admin/?range={range_name}").context["charts"]
    assert isinstance(page, ChartPage)
    return page
