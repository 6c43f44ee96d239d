"""Monthly credits: one grant per user, plan and month, and no month is forgotten."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Plan, User
from credits import ledger
from credits.gifts import monthly_credits
from credits.models import Grant, PlanPrice, Subscription, Transaction
from credits.proof import audit
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db

NOVEMBER = datetime(2026, 11, 22, 12, tzinfo=UTC)
# What is granted in this month does not expire while the tests run.
FAR_MONTH = datetime(2090, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def plan() -> Plan:
    return Plan.objects.create(slug="pro", name="Pro", monthly_credits=100)


@pytest.fixture
def member(poor: User, plan: Plan) -> User:
    User.objects.filter(pk=poor.pk).update(plan=plan)
    return User.objects.get(pk=poor.pk)


def grant(monkeypatch: pytest.MonkeyPatch, now: datetime) -> int:
    monkeypatch.setattr(monthly_credits, "_read_clock", lambda: now)
    return monthly_credits.grant_due()


def test_an_allowance_comes_once_a_month(member: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [grant(monkeypatch, NOVEMBER) for _ in range(3)] == [1, 0, 0]
    row = Transaction.objects.get(user=member)
    assert (row.type, row.amount, row.description) == ("subscription", 100, "Pro, 2026-11")
    assert grant(monkeypatch, datetime(2026, 12, 1, tzinfo=UTC)) == 1


def test_what_is_left_expires_when_the_month_ends(
    member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(monkeypatch, NOVEMBER)
    assert Grant.objects.get(user=member).expires_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_december_ends_with_the_year(member: User, monkeypatch: pytest.MonkeyPatch) -> None:
    grant(monkeypatch, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert Grant.objects.get(user=member).expires_at == datetime(2027, 1, 1, tzinfo=UTC)


def test_where_credits_stay_missed_months_are_made_up_for(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    Plan.objects.update(credits_roll_over=True)
    grant(monkeypatch, datetime(2026, 8, 1, tzinfo=UTC))
    assert grant(monkeypatch, NOVEMBER) == 3
    assert ledger.balance(member).credits == 400
    assert not Grant.objects.filter(user=member, expires_at__isnull=False).exists()
    assert grant(monkeypatch, datetime(2036, 1, 1, tzinfo=UTC)) == monthly_credits.MAX_MONTHS + 1


def test_where_they_expire_a_missed_month_is_gone(
    member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(monkeypatch, datetime(2026, 8, 1, tzinfo=UTC))
    assert grant(monkeypatch, NOVEMBER) == 1


def test_changing_plans_back_and_forth_grants_each_once(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Plan.objects.create(slug="team", name="Team", monthly_credits=300)
    grants: list[int] = []
    for chosen in (plan, other, plan, other):
        User.objects.filter(pk=member.pk).update(plan=chosen)
        Plan.objects.filter(pk=plan.pk).update(monthly_credits=100 + len(grants))
        grants.append(grant(monkeypatch, FAR_MONTH))
    assert Transaction.objects.filter(user=member).count() == 2
    assert audit.run().findings == []


@pytest.mark.parametrize("away", ["another plan", "switched off", "no credits"])
def test_an_absent_user_gets_nothing_for_that_time(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    Plan.objects.update(credits_roll_over=True)
    grant(monkeypatch, datetime(2026, 1, 5, tzinfo=UTC))
    User.objects.filter(pk=member.pk).update(
        plan="free" if away == "another plan" else "pro", is_active=away != "switched off"
    )
    Plan.objects.filter(pk="pro").update(monthly_credits=0 if away == "no credits" else 100)
    for month in range(2, 11):
        grant(monkeypatch, datetime(2026, month, 5, tzinfo=UTC))
    User.objects.filter(pk=member.pk).update(plan=plan, is_active=True)
    Plan.objects.filter(pk="pro").update(monthly_credits=100)
    grant(monkeypatch, NOVEMBER)
    assert ledger.balance(member).credits == 200


def test_a_plan_may_have_any_slug(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Plan.objects.create(slug="x/y", name="Odd", monthly_credits=7)
    User.objects.filter(pk=member.pk).update(plan=odd)
    grant(monkeypatch, FAR_MONTH)
    Plan.objects.create(slug="x", name="X", monthly_credits=5, credits_roll_over=True)
    User.objects.filter(pk=member.pk).update(plan="x")
    grant(monkeypatch, FAR_MONTH)
    assert ledger.balance(member).credits == 12


def test_nobody_else_gets_one(member: User, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=member.pk).update(is_active=False)
    assert grant(monkeypatch, NOVEMBER) == 0


@pytest.mark.django_db(transaction=True)
def test_several_ticks_at_once_grant_once(member: User) -> None:
    concurrently(lambda n: monthly_credits.grant_due(), threads=6)
    assert Transaction.objects.filter(user=member).count() == 1


def test_a_refused_grant_does_not_stop_the_others(
    member: User, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    absurd = Plan.objects.create(slug="absurd", name="Absurd", monthly_credits=2_000_000_000)
    User.objects.filter(pk=user.pk).update(plan=absurd)
    assert grant(monkeypatch, NOVEMBER) == 1


def test_a_job_that_fails_does_not_stop_the_tick(
    member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "expire_holds", lambda: 1 // 0)
    with pytest.raises(CommandError, match="expire_holds"):
        call_command("tick")
    assert ledger.balance(member).credits == 100


def test_the_tick_grants(member: User) -> None:
    call_command("tick")
    assert ledger.balance(member).credits == 100


@pytest.mark.parametrize("is_active", [True, False])
def test_a_plan_with_a_price_gives_its_credits_for_paid_invoices_only(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch, is_active: bool
) -> None:
    price = PlanPrice.objects.create(plan=plan, currency="usd", amount=900, is_active=is_active)
    assert grant(monkeypatch, NOVEMBER) == 0
    price.delete()
    assert grant(monkeypatch, NOVEMBER) == 1


def test_months_that_were_paid_for_are_not_made_up_for_as_a_gift(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    Plan.objects.update(credits_roll_over=True)
    grant(monkeypatch, datetime(2026, 8, 1, tzinfo=UTC))
    price = PlanPrice.objects.create(plan=plan, currency="usd", amount=900)
    for month in (9, 10):
        assert grant(monkeypatch, datetime(2026, month, 1, tzinfo=UTC)) == 0
    price.delete()
    assert grant(monkeypatch, NOVEMBER) == 1


def test_somebody_whose_subscription_still_runs_gets_no_gift_besides(
    member: User, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The price of the plan was deleted, and the subscription goes on as agreed."""
    running = Subscription.objects.create(
        user=member,
        plan=plan,
        credits=100,
        currency="usd",
        amount=900,
        livemode=False,
        stripe_id="sub_1",
        status="active",
    )
    assert grant(monkeypatch, NOVEMBER) == 0
    Subscription.objects.filter(pk=running.pk).update(ended_at=NOVEMBER)
    assert grant(monkeypatch, NOVEMBER) == 1
