"""The roll-ups over all users equal plain SQL over the completions, in any zone, early and late."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.transaction import atomic, set_rollback

from accounts.models import User
from credits.proof import audit
from llmproxy.models import (
    ActiveDay,
    LatencyDay,
    LatencyHour,
    UsageDay,
    UsageFold,
    UsageHour,
    UsageTop,
)
from llmproxy.usage import folding
from llmproxy.usage.whole_site import folding as whole_site
from tests.llmproxy.usage.conftest import answer

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

BY_DAY = """
SELECT (created_at AT TIME ZONE %(zone)s)::date AS day, provider, model,
       count(*) FILTER (WHERE status <> 'failed'), count(*) FILTER (WHERE status = 'failed'),
       sum(charged), sum(provider_cost), count(provider_cost),
       COALESCE(sum(charged) FILTER (WHERE provider_cost IS NOT NULL), 0)
  FROM completions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
LATENCIES_BY_DAY = """
SELECT day, provider, measure, floor(4 * log(2, ms))::int AS bucket, count(*)
  FROM (SELECT (created_at AT TIME ZONE %(zone)s)::date AS day, provider, 'first' AS measure,
               first_byte_ms::numeric AS ms FROM completions WHERE status <> 'failed'
         UNION ALL
        SELECT (created_at AT TIME ZONE %(zone)s)::date, provider, 'whole', total_ms
          FROM completions WHERE status = 'completed') timed
 WHERE ms IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
ACTIVE_BY_DAY = """
SELECT (created_at AT TIME ZONE %(zone)s)::date, count(DISTINCT user_id) FROM completions
 WHERE user_id IS NOT NULL GROUP BY 1 ORDER BY 1
"""


def fetch(statement: str, zone: str = "") -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"zone": zone})
        return list(cursor.fetchall())


def fold_at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_read_clock", lambda: moment)
    folding.fold()


def list_days() -> list[tuple[Any, ...]]:
    columns = "answers", "failures", "charged", "provider_cost"
    rows = UsageDay.objects.order_by("day", "provider", "model")
    return list(
        rows.values_list(
            "day", "provider", "model", *columns, "costed_completions", "costed_charged"
        )
    )


def write_many(people: list[User]) -> None:
    """Write completions on both sides of hours and of midnights of several zones."""
    number = 0
    for begin in (NOON - timedelta(days=1), NOON):
        for minutes in (0, 299, 300, 361, 375, 379, 719, 720, 901, 930, 950):
            for seconds in (-1, 0):
                number += 1
                answer(
                    [*people, None][number % 3],
                    begin + minutes * MINUTE + timedelta(seconds=seconds),
                    provider=["local", "other"][number % 2],
                    model=["small", "large"][number % 5 % 2],
                    status=["completed", "completed", "failed", "interrupted"][number % 4],
                    charged=number,
                    provider_cost=None if number % 3 else "0.0125",
                    first_byte_ms=None if number % 7 == 0 else 3 ** (number % 9) + 10,
                    total_ms=2 + number**2,
                )


@pytest.mark.parametrize("zone", ["Asia/Bangkok", "Asia/Kathmandu", "America/St_Johns"])
def test_days_of_the_operators_zone_equal_the_completions(
    user: User,
    make_user: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    zone: str,
) -> None:
    settings.SELLER_TIME_ZONE = zone
    write_many([user, make_user("bob@example.com")])
    # Some steps end in the middle of an hour, of a day, and of both.
    for hours in (-20, -5.7, 7.55, 18.3, 40):
        fold_at(NOON + timedelta(hours=hours), monkeypatch)
    assert list_days() == fetch(BY_DAY, zone)
    rows = fetch(
        "SELECT * FROM (SELECT day, provider, measure, bucket, answers"
        " FROM usage_latency_days) d ORDER BY 1, 2, 3, 4"
    )
    assert rows == fetch(LATENCIES_BY_DAY, zone)
    assert fetch("SELECT day, users FROM usage_active_days ORDER BY 1") == fetch(
        ACTIVE_BY_DAY, zone
    )


def test_an_answer_is_in_the_open_hour_and_day_after_ten_seconds(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(user, NOON + 5 * MINUTE)
    fold_at(NOON + 5 * MINUTE + timedelta(seconds=10), monkeypatch)
    assert not UsageHour.objects.exists()
    fold_at(NOON + 5 * MINUTE + timedelta(seconds=11), monkeypatch)
    assert UsageHour.objects.get().hour == NOON
    answer(user, NOON + 6 * MINUTE, charged=7)
    fold_at(NOON + 7 * MINUTE, monkeypatch)
    assert UsageDay.objects.get().charged == UsageHour.objects.get().charged == 12


def test_a_late_answer_is_counted_and_what_is_right_stays_as_it_is(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(user, NOON)
    answer(user, NOON, model="large")
    fold_at(NOON + 76 * MINUTE, monkeypatch)
    where = "SELECT ctid::text FROM usage_{} WHERE model = 'large'"
    places = [fetch(where.format(table)) for table in ("hours", "days")]
    answer(user, NOON + MINUTE)
    fold_at(NOON + 80 * MINUTE, monkeypatch)
    assert UsageHour.objects.get(model="small").answers == 1, "only the last minutes are computed"
    fold_at(NOON + 92 * MINUTE, monkeypatch)
    fold_at(NOON + 92 * MINUTE, monkeypatch)
    assert UsageHour.objects.get(model="small").answers == 2
    assert UsageDay.objects.get(model="small").answers == 2
    assert [fetch(where.format(table)) for table in ("hours", "days")] == places


def test_what_an_older_version_folded_is_computed_again(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_site, "STEP_ROWS", 2)
    for hours in range(6):
        answer(user, NOON + timedelta(hours=hours), first_byte_ms=9)
    fold_at(NOON + timedelta(hours=12), monkeypatch)
    right = list_days(), fetch("SELECT * FROM usage_latency_days ORDER BY 1, 2, 3, 4")
    for model in (UsageDay, LatencyDay, LatencyHour):
        model.objects.all().delete()
    UsageHour.objects.update(costed_completions=None)
    UsageFold.objects.update(filled_until=None)
    rounds = 0
    while UsageFold.objects.get().filled_until != UsageFold.objects.get().hours_until:
        whole_site.fold(now=NOON + timedelta(hours=12), seconds=0)
        rounds += 1
        assert rounds < 12, "it does not get on"
    assert rounds > 2
    assert (list_days(), fetch("SELECT * FROM usage_latency_days ORDER BY 1, 2, 3, 4")) == right


def test_another_zone_of_the_operator_makes_other_days(
    user: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    answer(user, NOON + timedelta(hours=8))
    fold_at(NOON + timedelta(hours=12), monkeypatch)
    assert [row[0] for row in list_days()] == [date(2026, 3, 4)]
    settings.SELLER_TIME_ZONE = "Asia/Bangkok"
    fold_at(NOON + timedelta(hours=12), monkeypatch)
    assert [row[0] for row in list_days()] == [date(2026, 3, 5)]
    assert list(ActiveDay.objects.values_list("day", "users")) == [(date(2026, 3, 5), 1)]


def test_first_places_are_by_credits_and_begin_where_their_range_begins(
    user: User, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = make_user("bob@example.com")
    midnight = datetime(2026, 3, 4, tzinfo=UTC)
    answer(bob, midnight - timedelta(days=6, seconds=1), charged=100)
    answer(bob, midnight - timedelta(days=6), charged=8, credential="")
    answer(user, midnight, charged=3, credential="key:1")
    answer(user, midnight, charged=4, credential="key:2")
    answer(None, midnight, charged=500)
    fold_at(midnight + timedelta(hours=5), monkeypatch)
    rows = UsageTop.objects.order_by("days", "kind", "place").values_list(
        "days", "kind", "user_id", "credential", "charged"
    )
    assert [row[1:] for row in rows if row[0] == 1] == [
        ("credential", user.pk, "key:2", 4),
        ("credential", user.pk, "key:1", 3),
        ("user", user.pk, "", 7),
    ]
    assert [row[2:] for row in rows if row[:2] == (7, "user")] == [
        (bob.pk, "", 8),
        (user.pk, "", 7),
    ]
    assert [row[4] for row in rows if row[:2] == (30, "user")] == [108, 7]
    assert audit.run().findings == []


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        ("UPDATE usage_hours SET charged = charged + 1", "hours"),
        ("DELETE FROM usage_latency_hours", "hours"),
        (
            "INSERT INTO usage_days SELECT day - 9, provider, 'none', answers, failures, charged,"
            " provider_cost, costed_completions, costed_charged FROM usage_days",
            "days",
        ),
        ("UPDATE usage_latency_days SET bucket = bucket + 1", "days"),
        ("UPDATE usage_active_days SET users = 2", "days of users"),
        ("UPDATE usage_tops SET charged = 6 WHERE days = 90", "first places"),
    ],
)
def test_the_audit_finds_what_differs_and_computes_it_again(
    user: User, monkeypatch: pytest.MonkeyPatch, plant: str, where: str
) -> None:
    answer(user, NOON, first_byte_ms=7)
    fold_at(NOON + timedelta(hours=30), monkeypatch)
    with connection.cursor() as cursor:
        cursor.execute(plant)
        with atomic():
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL transaction_read_only = on")
            assert "a database that takes writes" in audit.run().findings[0].remedy
            set_rollback(True)
    finding = audit.run().findings[0]
    assert (finding.invariant, finding.user_id) == (20, audit.ALL_USERS)
    assert f"rows of the {where} of usage" in str(finding)
    assert "all users" in str(finding)
    assert "have been computed again" in finding.remedy
    assert audit.run().findings == []
