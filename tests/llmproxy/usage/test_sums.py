"""The sums of a page: one statement over closed quarters, later completions and refunds."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.time_zones import borders, find_zone
from credits import ledger
from credits.models import Transaction
from llmproxy.models import UsageQuarter
from llmproxy.usage import folding, sums
from llmproxy.usage.sums import Sum
from tests.llmproxy.usage.conftest import answer

pytestmark = pytest.mark.django_db


def fold_until(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_read_clock", lambda: moment + folding.GRACE)
    folding.fold()


def list_days(first: date, days: int, zone: str = "UTC") -> list[datetime]:
    found = find_zone(zone)
    assert found is not None
    return borders(first, days, found)


@pytest.mark.parametrize("folded", [0, 13, 30])
def test_the_sums_are_the_same_wherever_the_closed_quarters_end(
    user: User, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch, folded: int
) -> None:
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    answer(make_user("bob@example.com"), noon)
    answer(None, noon)
    answer(user, noon)
    answer(user, noon + timedelta(hours=6))
    answer(user, noon + timedelta(hours=7), model="large", charged=7, cached_tokens=3)
    answer(user, noon + timedelta(hours=8), credential="", credential_name="", status="failed")
    answer(user, noon + timedelta(hours=12.5))
    answer(user, noon + timedelta(hours=24.5))
    if folded:
        fold_until(noon + timedelta(hours=folded), monkeypatch)
    days = list_days(date(2026, 3, 4), 2)
    with CaptureQueriesContext(connection) as queries:
        usage = sums.read(user, days)
    assert len(queries) == 1, "the sums of a page come from one statement"
    assert usage.total == Sum(5, 1, 600, 3, 60, 32, 0, 0)
    assert [day.answers for day in usage.days] == [3, 2]
    assert {name: used.charged for name, used in usage.models.items()} == {"small": 25, "large": 7}
    assert {name: used.failures for name, used in usage.credentials.items()} == {"key:1": 0, "": 1}
    assert usage.names == {"key:1": "Laptop", "": ""}
    assert sums.read_days(user, days) == usage.days
    assert sums.read(user, days, model="large").total.charged == 7
    assert sums.read(user, days, credential="").total == Sum(0, 1, 100, 0, 10, 5, 0, 0)
    assert sum(part.used.charged for part in sums.read_parts(user, days)) == 32


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Asia/Kathmandu", date(2026, 3, 4), [24, 24]),  # 5:45 before UTC
        ("America/St_Johns", date(2026, 3, 7), [24, 23]),  # half an hour, and the clock goes on
        ("Australia/Lord_Howe", date(2026, 4, 4), [24, 24.5]),  # the clock goes back by half
        ("Europe/Berlin", date(2026, 10, 24), [24, 25]),
        ("Africa/Cairo", date(2026, 4, 23), [24, 23]),  # there is no midnight on that Friday
        ("Pacific/Apia", date(2011, 12, 29), [24, 0, 24]),  # a day that never was
        ("Pacific/Kiritimati", date(2026, 3, 4), [24, 24]),
    ],
)
def test_a_day_is_one_of_the_readers_zone(
    user: User, monkeypatch: pytest.MonkeyPatch, zone: str, first: date, hours: list[float]
) -> None:
    days = list_days(first, len(hours), zone)
    lengths = [(end - start) / timedelta(hours=1) for start, end in pairwise(days)]
    assert lengths == hours
    for border in days:
        answer(user, border - timedelta(seconds=1))
        answer(user, border)
    expected = [2 if length else 0 for length in hours]
    if 0 in hours:  # Two borders are the same moment.
        expected = [3, 0, 3]
    assert [day.answers for day in sums.read_days(user, days)] == expected
    fold_until(days[-1] + timedelta(hours=1), monkeypatch)
    assert [day.answers for day in sums.read_days(user, days)] == expected
    assert UsageQuarter.objects.exists()


def test_a_refund_counts_on_its_own_day_and_for_its_model(user: User, settings: Any) -> None:
    ledger.adjust(user=user, amount=50, reason="For this test", actor=None)
    hold = ledger.hold(user=user, amount=9, reference_id="gen_1", seconds=60)
    ledger.capture(hold=hold, cost=9)
    charge = Transaction.objects.get(type="usage")
    answer(user, datetime.now(UTC) - timedelta(days=3), charged=9, hold=hold, model="large")
    ledger.refund(transaction=charge, amount=4, reason="why", actor=None, idempotency_key="k")
    today = datetime.now(UTC).date()
    usage = sums.read(user, list_days(today - timedelta(days=5), 6))
    assert [day.charged for day in usage.days] == [0, 0, 9, 0, 0, 0]
    assert [day.refunded for day in usage.days] == [0, 0, 0, 0, 0, 4]
    assert (usage.models["large"].charged, usage.models["large"].refunded) == (9, 4)
    assert usage.credentials["key:1"].refunded == 4


def test_a_range_without_use_is_all_zeroes(user: User) -> None:
    usage = sums.read(user, list_days(date(2026, 3, 4), 3))
    assert usage == sums.Usage(Sum(), [Sum(), Sum(), Sum()])
