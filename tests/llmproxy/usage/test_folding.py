"""Completions are folded into quarters of an hour, once or ten times, and the audit checks it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.db.transaction import atomic, set_rollback

from accounts.models import User
from credits.proof import audit
from llmproxy.models import Completion, UsageFold, UsageHour, UsageQuarter
from llmproxy.receipts import explain
from llmproxy.usage import folding, operators, repair
from tests.llmproxy.usage.conftest import answer

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COSTS = "provider_cost", "costed_completions", "costed_charged"
ALL = "answers", "failures", "prompt_tokens", "charged", "uncollected"


def list_quarters(user: User) -> list[tuple[Any, ...]]:
    rows = UsageQuarter.objects.filter(user=user).order_by("quarter", "model", "credential")
    return list(rows.values_list("quarter", "model", "credential", *ALL))


def find_place(model: str) -> Any:
    """Return where on the disk the row of this model is, which every update changes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text FROM usage_quarters WHERE model = %s", [model])
        return cursor.fetchone()


def fold_until(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fold as if it were two minutes after this moment."""
    monkeypatch.setattr(folding, "_read_clock", lambda: moment + folding.GRACE)
    return folding.fold()


def test_a_quarter_has_what_its_completions_had(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = {"counts": {"images": 2}, "prices": {}}
    answer(user, NOON, extras=extras)
    answer(user, NOON + 14 * MINUTE, charged=3, uncollected=2, extras=extras)
    answer(user, NOON + 14 * MINUTE, status="failed", charged=0, prompt_tokens=0)
    answer(user, NOON + 14 * MINUTE, status="interrupted", model="large")
    answer(user, NOON + 15 * MINUTE, credential="", credential_name="")
    fold_until(NOON + timedelta(hours=1), monkeypatch)
    assert list_quarters(user) == [
        (NOON, "large", "key:1", 1, 0, 100, 5, 0),
        (NOON, "small", "key:1", 2, 1, 200, 8, 2),
        (NOON + 15 * MINUTE, "small", "", 1, 0, 100, 5, 0),
    ]
    folded = UsageQuarter.objects.get(model="small", credential="key:1")
    assert (folded.extras, folded.credential_name) == ({"images": 4}, "Laptop")
    explain.forget_names(user)
    assert not UsageQuarter.objects.exclude(credential_name="").exists()


def test_only_quarters_that_ended_two_minutes_ago_are_closed(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(user, NOON + 14 * MINUTE)
    fold_until(NOON + 14 * MINUTE, monkeypatch)
    assert list_quarters(user) == []
    assert UsageFold.objects.get().until == NOON
    assert fold_until(NOON + 15 * MINUTE - timedelta(seconds=1), monkeypatch) == 0
    fold_until(NOON + 15 * MINUTE, monkeypatch)
    assert len(list_quarters(user)) == 1


def test_a_late_completion_is_caught_and_nothing_else_is_written(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(user, NOON)
    answer(user, NOON, model="large")
    fold_until(NOON + 15 * MINUTE, monkeypatch)
    place = find_place("large")
    answer(user, NOON + MINUTE)
    fold_until(NOON + timedelta(hours=2), monkeypatch)
    assert [row[1:5] for row in list_quarters(user)] == [
        ("large", "key:1", 1, 0),
        ("small", "key:1", 2, 0),
    ]
    assert find_place("large") == place, "a row that was right was written again"


def test_an_old_installation_is_folded_in_steps_and_rounds(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "STEP_ROWS", 3)
    for hour in range(12):
        answer(user, NOON + timedelta(hours=hour, minutes=20))
    answer(user, NOON + timedelta(days=400))
    end = NOON + timedelta(days=400, hours=1)
    monkeypatch.setattr(folding, "_read_clock", lambda: end + folding.GRACE)
    rounds = 0
    while folding.fold(seconds=0) and UsageFold.objects.get().until != end:
        rounds += 1
        assert rounds < 20, "it does not get on"
    assert rounds > 2
    assert audit.run().findings == []
    assert len(list_quarters(user)) == 13


def test_operators_have_hours_over_all_users_and_calls_without_one(
    user: User, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(user, NOON + 50 * MINUTE, provider_cost="0.5", charged=4)
    answer(make_user("bob@example.com"), NOON + MINUTE, charged=2)
    answer(None, NOON + 20 * MINUTE, charged=0)
    answer(user, NOON + 20 * MINUTE, provider="other")
    fold_until(NOON + 30 * MINUTE, monkeypatch)
    fold_until(NOON + 60 * MINUTE, monkeypatch)
    rows = UsageHour.objects.order_by("provider").values_list(
        "hour", "provider", "model", "answers", "charged", *COSTS
    )
    assert [(*row[:5], float(row[5] or 0), *row[6:]) for row in rows] == [
        (NOON, "local", "small", 3, 6, 0.5, 1, 4),
        (NOON, "other", "small", 1, 5, 0, 0, 0),
    ]


def test_a_clock_that_was_set_back_loses_nothing(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold_until(NOON + timedelta(days=9), monkeypatch)
    answer(user, NOON)
    fold_until(NOON + timedelta(hours=1), monkeypatch)
    assert UsageFold.objects.get().until == NOON + timedelta(hours=1)
    assert len(list_quarters(user)) == 1


@pytest.mark.parametrize(
    "plant",
    [
        "UPDATE usage_quarters SET charged = charged + 1 WHERE model = 'small'",
        "DELETE FROM usage_quarters WHERE model = 'large'",
        "INSERT INTO usage_quarters (user_id, quarter, model, credential, credential_name, answers,"
        " failures, charged, uncollected) SELECT id, '2026-03-04 11:00Z', 'none', '', '', 1, 0, 0,"
        " 0 FROM users",
        # The sum of the user stays the same.
        "UPDATE usage_quarters SET answers = answers + CASE model WHEN 'small' THEN 1 ELSE -1 END",
    ],
)
def test_the_audit_finds_what_differs_and_computes_it_again(
    user: User, monkeypatch: pytest.MonkeyPatch, plant: str
) -> None:
    answer(user, NOON)
    answer(user, NOON + timedelta(minutes=40), model="large")
    fold_until(NOON + timedelta(hours=1), monkeypatch)
    answer(user, NOON + timedelta(hours=2))
    right = list_quarters(user)
    assert audit.run().findings == []
    with connection.cursor() as cursor:
        cursor.execute(plant)
    [finding] = audit.run().findings
    assert (finding.invariant, finding.user_id) == (18, user.pk)
    assert "differ from their completions" in finding.problem
    assert "have been computed again" in finding.remedy
    assert list_quarters(user) == right
    assert audit.run().findings == []


def test_a_rebuild_in_steps_gives_the_same_quarters(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(9):
        answer(user, NOON + timedelta(hours=hour))
    fold_until(NOON + timedelta(hours=8), monkeypatch)
    UsageQuarter.objects.update(answers=7)
    monkeypatch.setattr(folding, "STEP_ROWS", 2)
    repair.repair(user.pk)
    sums = UsageQuarter.objects.aggregate(Sum("answers"), Sum("charged"))
    assert sums == {"answers__sum": 8, "charged__sum": 40}
    assert Completion.objects.count() == 9


def test_a_standby_only_names_what_differs(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(user, NOON)
    fold_until(NOON + timedelta(hours=1), monkeypatch)
    UsageQuarter.objects.update(charged=1)
    with atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL transaction_read_only = on")
        finding, derived = audit.run().findings
        set_rollback(True)
    assert (finding.invariant, derived.invariant) == (18, 20)  # the places follow the quarters
    assert "a database that takes writes" in finding.remedy


def test_the_first_page_of_the_admin_sums_hours_and_what_came_after(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in (-90, 10, 50, 100):
        answer(user, NOON + minutes * MINUTE, status="failed" if minutes == 50 else "completed")
    before = operators.sum_since(NOON)
    fold_until(NOON + 45 * MINUTE, monkeypatch)
    assert operators.sum_since(NOON) == before == operators.Total(charged=15, answers=2)
    fold_until(NOON + 300 * MINUTE, monkeypatch)
    assert operators.sum_since(NOON + 5 * MINUTE) == before
