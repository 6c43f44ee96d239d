"""Credits that expire are told 7 days and 1 day before, if they would not be used anyway."""

from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from accounts.alerts.threshold import set_threshold
from accounts.models import AccountAlert, OutgoingMail
from credits.alerts.expiring import find_expiring
from credits.models import Package, Refill
from tests.credits.conftest import give, spend

pytestmark = pytest.mark.django_db


def keys():
    rows = AccountAlert.objects.filter(kind="expiring").order_by("pk")
    return [(str(row.key).split(":")[1], row.facts["credits"], row.silent_because) for row in rows]


def test_credits_are_told_at_seven_days_and_at_one_day(poor):
    give(poor, 500, expires_at=timezone.now() + timedelta(days=10))
    find_expiring()
    assert keys() == []
    with time_machine.travel(timezone.now() + timedelta(days=3, hours=1)):
        assert (find_expiring(), find_expiring()) == (1, 0)
    assert keys() == [("7", 500, "")]
    with time_machine.travel(timezone.now() + timedelta(days=9, hours=1)):
        find_expiring()
        find_expiring()
    assert keys() == [("7", 500, ""), ("1", 500, "")]


def test_what_expires_on_one_day_is_one_alert(poor):
    when = (timezone.now() + timedelta(days=5)).replace(hour=12)
    for minutes in (0, 1, 2):
        give(poor, 200, expires_at=when + timedelta(minutes=minutes))
    find_expiring()
    assert keys() == [("7", 600, "")]


def test_few_credits_and_those_that_will_be_used_are_no_alert(poor, user):
    give(poor, 99, expires_at=timezone.now() + timedelta(days=5))
    give(user, 1000, expires_at=timezone.now() + timedelta(days=5))
    spend(user, 900)  # 900 a week go on
    find_expiring()
    assert sorted(keys()) == [("7", 99, "used_before"), ("7", 100, "used_before")]
    call_command("send_alerts")
    assert not OutgoingMail.objects.exists()


def test_the_job_looks_once_an_hour(poor):
    call_command("find_expiring")
    give(poor, 500, expires_at=timezone.now() + timedelta(days=5))
    call_command("find_expiring")
    assert keys() == []


def test_a_refill_keeps_a_low_balance_silent_and_not_an_empty_one(user):
    package = Package.objects.create(name="Pro", credits=500, price_usd=10)
    Refill.objects.create(
        user=user,
        enabled_at=timezone.now(),
        package=package,
        credits=500,
        currency="usd",
        price=1000,
        threshold=10,
        monthly_cap=5000,
    )
    set_threshold(user, 40)
    spend(user, 20)
    call_command("send_alerts")
    assert not OutgoingMail.objects.exists()
    spend(user, 30)
    call_command("send_alerts")
    assert OutgoingMail.objects.count() == 1
