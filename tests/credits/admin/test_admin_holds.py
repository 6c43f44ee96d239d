"""Holds in the admin: their countdown, and their cancellation."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone, translation

from accounts.access.administrators_log import Act
from credits import ledger
from credits.countdown import format_countdown
from credits.exceptions import HoldEnded
from credits.models import Hold

pytestmark = pytest.mark.django_db


@pytest.fixture
def hold(ann):
    return ledger.hold(user=ann, amount=40, reference_id="gen_running", seconds=725)


def page(hold):
    return f"/admin/credits/hold/{hold.pk}/cancel/"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (725, "in 12 minutes"),
        (25, "in less than a minute"),
        (-125, "2 minutes ago"),
        (61, "in 1 minute"),
        (7 * 86400 - 5, "in 7 days"),
        (20 * 3600, "in 20 hours"),
    ],
)
def test_an_open_hold_counts_down(hold, seconds, says):
    hold.expires_at = timezone.now() + timedelta(seconds=seconds)
    assert format_countdown(hold) == says


def test_the_countdown_is_in_the_readers_language(hold):
    with translation.override("th"):
        assert "นาที" in format_countdown(hold)
        assert "in " not in format_countdown(hold)


def test_what_has_ended_does_not_count(hold):
    ledger.release(hold=hold)
    hold.refresh_from_db()
    assert format_countdown(hold) == "–"


def test_holds_are_listed_by_state(client, operator, ann, hold, spend):
    spend(ann, 5)
    for state, reference in (("open", "gen_running"), ("captured", "gen_1")):
        rows = client.get("/admin/credits/hold/", {"state__exact": state}).context["cl"].result_list
        assert [row.reference_id for row in rows] == [reference]


def test_cancelling_frees_the_credits_with_who_and_why(client, operator, ann, hold, filled):
    text = client.get(page(hold)).content.decode()
    assert "without a charge" in text
    client.post(page(hold), filled(client, page(hold), reason="Worker is stuck"))
    ann.refresh_from_db()
    assert (Hold.objects.get().state, ann.credits_held, ann.credits) == ("released", 0, 100)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.action_flag, entry.object_id) == (
        operator,
        Act.CANCELLED,
        str(hold.pk),
    )
    assert (
        "Worker is stuck" in client.get(f"/admin/credits/hold/{hold.pk}/history/").content.decode()
    )


def test_a_cancelled_hold_is_not_charged(client, operator, ann, hold, filled):
    client.post(page(hold), filled(client, page(hold)))
    with pytest.raises(HoldEnded):
        ledger.capture(hold=hold, cost=30)
    assert ledger.balance(ann).credits == 100


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"reason": "x" * 501}, {"reason": "a\0"}, {"key": ""}]
)
def test_cancelling_needs_a_reason(client, operator, hold, filled, wrong):
    answer = client.post(page(hold), filled(client, page(hold), **wrong))
    assert "text-red-" in answer.content.decode()
    assert (Hold.objects.get().state, LogEntry.objects.count()) == ("open", 0)


def test_a_hold_that_was_captured_meanwhile_is_not_cancelled(
    client, operator, ann, hold, filled, monkeypatch
):
    sent = filled(client, page(hold))
    ledger.capture(hold=hold, cost=30)
    assert "already ended" in client.post(page(hold), sent, follow=True).content.decode()
    assert (Hold.objects.get().state, LogEntry.objects.count(), ledger.balance(ann).credits) == (
        "captured",
        0,
        70,
    )


def test_a_hold_that_ends_between_view_and_click_is_not_cancelled(
    client, operator, hold, filled, monkeypatch
):
    sent = filled(client, page(hold))
    monkeypatch.setattr("credits.operators.actions.ledger.release", lambda *, hold: False)
    assert "already ended" in client.post(page(hold), sent).content.decode()
    assert not LogEntry.objects.exists()


def test_a_get_cancels_nothing(client, operator, hold):
    client.get(page(hold), {"confirm": "1", "reason": "x", "key": "k"})
    assert Hold.objects.get().state == "open"


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30])
def test_an_unknown_hold_leads_to_the_list(client, operator, pk):
    answer = client.post(f"/admin/credits/hold/{pk}/cancel/", {"confirm": "1"}, follow=True)
    assert "no record with this number" in answer.content.decode()


def test_cancelling_needs_its_permission(client, support, hold):
    client.force_login(support)
    assert client.get("/admin/credits/hold/").status_code == 200
    assert client.post(page(hold), {"confirm": "1", "reason": "x", "key": "k"}).status_code == 403
    assert Hold.objects.get().state == "open"
