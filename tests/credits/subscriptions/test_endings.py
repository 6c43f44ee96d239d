"""A plan ends at once if one of its payments was fraud, was taken back, or is refunded so."""

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from credits import ledger
from credits.models import Approval, Purchase, Refund, Subscription
from credits.operators import approvals
from credits.reversals.refund_acts import Request
from smartspec.upkeep.conditions import Look
from smartspec.upkeep.payments import check_subscriptions
from tests.credits.subscriptions.conftest import find_plan


def report(fake, payment):
    fake.warn(payment)


def lose(fake, payment):
    fake.end_dispute(fake.dispute(payment)["id"], "lost")


def pay(fake, row):
    """Pay a page; return the payment of its invoice."""
    fake.pay(row.checkout_session)
    return fake.list_objects("payment_intent")[-1]["id"]


def get_status(fake):
    return [one["status"] for one in fake.list_objects("subscription")]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("refunds", [False, True])
@pytest.mark.parametrize("happen", [report, lose])
def test_fraud_and_a_lost_dispute_end_the_plan_in_any_order_of_events(
    begin, fake_stripe, tell, ann, settings, happen, reverse, refunds
):
    settings.REFUND_FRAUD_WARNINGS = refunds
    happen(fake_stripe, pay(fake_stripe, begin()))
    tell(reverse=reverse)
    tell()
    assert get_status(fake_stripe) == ["canceled"]
    assert (Subscription.objects.get().status, find_plan(ann)) == ("canceled", "free")
    kept = 1000 if happen is report and not refunds else 0
    assert ledger.balance(ann).credits == kept


@pytest.mark.parametrize("end", ["won", "needs_response"])
def test_a_dispute_that_is_open_or_won_ends_no_plan(begin, fake_stripe, tell, end):
    dispute = fake_stripe.dispute(pay(fake_stripe, begin()))
    if end == "won":
        fake_stripe.end_dispute(dispute["id"], end)
    tell()
    assert get_status(fake_stripe) == ["active"]


def test_an_end_that_stripe_does_not_answer_is_asked_for_again_and_told(
    subscribe, begin, fake_stripe, tell
):
    subscribe()
    fake_stripe.warn(Purchase.objects.get().payment_intent)
    fake_stripe.break_next("drop_before", times=9, method="DELETE")
    tell()
    assert get_status(fake_stripe) == ["active"]
    Subscription.objects.update(end_asked_at=timezone.now() - timedelta(hours=1))
    (fact,) = check_subscriptions(Look())
    assert (fact.is_fine, fact.values["to_end"]) == (False, 1)
    fake_stripe.break_next("none")
    call_command("sync_subscriptions", verbosity=0)
    assert get_status(fake_stripe) == ["canceled"]
    assert Subscription.objects.get().end_because.startswith("Fraud warning issfr_")


@pytest.mark.parametrize("ends", [False, True])
def test_a_refund_ends_the_plan_by_choice_only(
    subscribe, fake_stripe, client, make_user, ann, ends
):
    subscribe()
    operator = make_user("op@example.com", is_staff=True, is_superuser=True)
    client.force_login(operator)
    page = f"/admin/credits/purchase/{Purchase.objects.get().pk}/refund/"
    sent = {"money": "20.00", "reason": "Moved away", "key": "k" * 16, "credits": "1000"}
    sent |= {"ends_plan": "on"} if ends else {}
    preview = client.post(page, sent).content.decode()
    assert ("The plan Pro ends now." if ends else "its next payment is on") in preview
    client.post(page, {**sent, "confirm": "1"})
    assert (Refund.objects.get().state, ledger.balance(ann).credits) == ("accepted", 0)
    assert get_status(fake_stripe) == ["canceled" if ends else "active"]
    assert find_plan(ann) == ("free" if ends else "pro")


def test_an_approved_refund_ends_the_plan_when_stripe_has_accepted_it(
    subscribe, fake_stripe, make_user, settings
):
    subscribe()
    settings.ADJUST_APPROVAL_CREDITS = 1
    first, second = (make_user(f"op{n}@example.com", is_superuser=True) for n in (1, 2))
    purchase = Purchase.objects.get()
    asked = Request(2000, "Moved away", "k1", first, credits=1000, ends_plan=True)
    approval = approvals.refund_payment_or_ask(purchase, asked, actor=first)
    assert isinstance(approval, Approval)
    fake_stripe.break_next("drop_before", times=9, path="/v1/refunds")
    approvals.approve(approval, actor=second, note="")
    assert get_status(fake_stripe) == ["active"]
    fake_stripe.break_next("none")
    Refund.objects.update(next_try_at=timezone.now())
    call_command("settle_refunds", verbosity=0)
    assert (Refund.objects.get().state, get_status(fake_stripe)) == ("accepted", ["canceled"])


def test_a_refund_of_a_package_offers_no_end_of_a_plan(pay, client, make_user):
    bought = pay(make_user("b@example.com"))
    client.force_login(make_user("op@example.com", is_staff=True, is_superuser=True))
    page = client.get(f"/admin/credits/purchase/{bought.pk}/refund/").content.decode()
    assert "End the plan now" not in page


def test_an_administrator_ends_a_plan_at_once_or_as_soon_as_stripe_answers(
    client, subscribe, fake_stripe, tell, make_user, settings
):
    row = subscribe()
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    path = f"/admin/credits/subscription/{row.pk}/end/"
    version = re.findall(r'name="row_version" value="([^"]*)"', client.get(path).content.decode())
    sent = {"row_version": version[0], "key": "k", "reason": "He asked for it", "confirm": "1"}
    there = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    text = client.post(path, sent, follow=True).content.decode()
    assert "Stripe gives no answer now." in text
    assert "already" in client.get(path, follow=True).content.decode()
    settings.STRIPE_API_BASE = there
    call_command("sync_subscriptions")
    assert get_status(fake_stripe) == ["canceled"]
    assert Subscription.objects.get().end_because == "He asked for it"
    assert "ended already" in client.get(path, follow=True).content.decode()
