"""The page of alerts: what comes by which way, the threshold, and what has happened."""

from typing import Any

import pytest

from accounts.alerts.choices import read_choices
from accounts.alerts.kinds import Kind
from accounts.models import AccountAlert, User

pytestmark = pytest.mark.django_db
PAGE = "/account/alerts"


@pytest.fixture
def ann(client, make_user):
    user = make_user(credits=100)
    client.force_login(user)
    return user


def test_the_threshold_and_the_boxes_are_stored(client, ann):
    form = {"alert_below": "40", "mail_low": "on", "webhook_used_up": "on"}
    assert client.post(PAGE, form)["Location"] == PAGE
    ann.refresh_from_db()
    assert (ann.alert_below, ann.alert_armed) == (40, True)
    choices = read_choices(ann)
    assert choices[Kind.LOW] == (True, False)
    assert choices[Kind.USED_UP] == (False, True)
    assert choices[Kind.PAYMENT] == (True, False)
    page = client.get(PAGE).content.decode()
    assert 'value="40"' in page
    assert page.count("checked") == 2


def test_a_threshold_above_the_balance_is_told_here_and_not_mailed(client, ann):
    page = client.post(PAGE, {"alert_below": "1000"}, follow=True).content.decode()
    assert "already below 1,000" in page
    assert not AccountAlert.objects.exists()
    client.post(PAGE, {"alert_below": ""})
    assert User.objects.get(pk=ann.pk).alert_below == 0


@pytest.mark.parametrize("below", ["-1", "x", "1.5", "1000000001", "\x00", "๑๐๐x", "9" * 400])
def test_a_threshold_that_is_none_changes_nothing(client, ann, below):
    assert client.post(PAGE, {"alert_below": below}).status_code == 200
    assert User.objects.get(pk=ann.pk).alert_below == 0


def test_what_happened_is_listed_with_its_figures(client, ann):
    happened: dict[str, dict[str, Any]] = {
        "low": {"balance": 39, "threshold": 40},
        "expiring": {"credits": 5000, "days": 7, "expires_at": "2026-12-07T00:00:00+00:00"},
        "payment": {"problem": "refill_failed"},
        "webhook_off": {"url": "https://example.com/<script>", "because": "gone"},
        "device": {"device": "Laptop"},
    }
    for kind, facts in happened.items():
        AccountAlert.objects.note(ann, kind, **facts)
    page = client.get(PAGE).content.decode()
    for text in ("Balance 39, threshold 40", "5,000 credits", "A refill failed", "&lt;script&gt;"):
        assert text in page


def test_nobody_sees_the_alerts_of_others(client, ann, make_user):
    AccountAlert.objects.note(make_user("bob@example.com"), "device", device="Bobs laptop")
    assert "Bobs laptop" not in client.get(PAGE).content.decode()
    assert client.delete(PAGE).status_code == 405
    client.logout()
    assert "/login" in client.get(PAGE)["Location"]
