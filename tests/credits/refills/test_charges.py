"""A refill that is due charges the saved card once, and a failure has its consequences."""

from datetime import timedelta

import pytest
from django.db.models import F

from accounts.access import account_deletion
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from credits.models import Customer, Purchase, Refill, RefillAttempt, Transaction
from credits.purchases import settlement
from credits.refills import charging, claims, consent
from credits.reversals.frozen import freeze
from tests.credits.conftest import hold
from tests.credits.refills.conftest import (
    PRICE,
    let_an_hour_pass,
    list_subjects,
    refill_again,
    use_up,
)
from tests.stripe import KEY


@pytest.fixture
def due(switch_on, ann) -> Refill:
    """A refill whose owner has 50 credits left."""
    refill: Refill = switch_on()
    use_up(ann)
    return refill


def count_credits(user: User) -> int:
    return User.objects.get(pk=user.pk).credits


def test_a_refill_that_is_due_is_paid_and_gives_its_credits(due, ann, fake_stripe):
    charging.run_due()
    attempt = due.attempts.get()
    assert (attempt.state, attempt.purchase.state) == ("paid", "paid")
    assert count_credits(ann) == 1550
    (intent,) = fake_stripe.list_objects("payment_intent")
    row = Transaction.objects.get(reference_id=intent["id"])
    assert (row.type, row.amount, row.idempotency_key) == ("purchase", 1500, f"pay:{intent['id']}")


def test_nothing_is_charged_again_while_the_balance_suffices(due, fake_stripe):
    charging.run_due()
    refill_again(due)
    assert len(fake_stripe.list_objects("payment_intent")) == 1


def test_a_hold_of_a_long_answer_is_not_missing(switch_on, ann, fake_stripe):
    switch_on()
    hold(ann, 450)
    charging.run_due()
    assert fake_stripe.list_objects("payment_intent") == []


def test_between_two_attempts_is_an_hour_whatever_came_of_the_first(switch_on, ann):
    refill = switch_on("chargeCustomerFail")
    use_up(ann)
    for _ in range(5):
        charging.run_due()
    assert refill.attempts.count() == 1


@pytest.mark.parametrize("card", ["chargeCustomerFail", "chargeDeclinedExpiredCard"])
def test_after_three_declines_in_a_row_the_refill_is_off(switch_on, ann, card):
    refill = switch_on(card)
    use_up(ann)
    for _ in range(5):
        refill_again(refill)
    refill.refresh_from_db()
    assert (refill.enabled_at, refill.failures, refill.attempts.count()) == (None, 3, 3)
    failed = "Your automatic refill failed"
    assert list_subjects() == [failed, failed, "Your automatic refill is off"]
    assert count_credits(ann) == 50


@pytest.mark.parametrize("card", ["LostCard", "StolenCard", "PickupCard", "Revocation"])
def test_a_card_that_will_not_work_again_switches_the_refill_off_at_once(switch_on, ann, card):
    refill = switch_on(f"chargeDeclined{card}")
    use_up(ann)
    charging.run_due()
    refill.refresh_from_db()
    assert refill.enabled_at is None
    assert list_subjects() == ["Your automatic refill is off"]


def test_a_success_in_between_starts_the_count_of_failures_anew(due, ann):
    Refill.objects.update(failures=2)
    charging.run_due()
    due.refresh_from_db()
    assert due.failures == 0


def test_a_bank_that_wants_to_see_the_buyer_pauses_and_is_not_asked_again(
    switch_on, ann, fake_stripe
):
    refill = switch_on("authenticationRequired")
    use_up(ann)
    for _ in range(3):
        refill_again(refill)
    (intent,) = fake_stripe.list_objects("payment_intent")
    refill.refresh_from_db()
    assert (intent["status"], refill.paused_because) == ("canceled", "authentication_required")
    assert refill.attempts.get().state == "failed"
    assert list_subjects() == ["Your automatic refill needs your action"]


def test_a_pause_ends_only_when_the_buyer_agrees_again(switch_on, ann, package):
    refill = switch_on("authenticationRequired")
    use_up(ann)
    charging.run_due()
    refill = switch_on(card="", is_confirmed=True)
    assert refill.paused_because == ""


def test_a_higher_price_is_not_charged_but_asked_about(due, package, fake_stripe):
    package.prices.update(amount=PRICE + 1)
    charging.run_due()
    due.refresh_from_db()
    assert (due.paused_because, due.attempts.count()) == ("dearer", 0)
    assert list_subjects() == ["Your automatic refill needs your action"]
    assert fake_stripe.list_objects("payment_intent") == []


def test_a_package_with_fewer_credits_is_asked_about(due, package):
    package.credits = 1499
    package.save()
    charging.run_due()
    due.refresh_from_db()
    assert due.paused_because == "dearer"


def test_a_package_that_is_not_sold_any_more_is_asked_about(due, package):
    package.is_active = False
    package.save()
    charging.run_due()
    due.refresh_from_db()
    assert due.paused_because == "not_on_sale"


def test_a_lower_price_is_charged_as_it_is_now(due, package):
    package.prices.update(amount=PRICE - 1000)
    charging.run_due()
    assert due.attempts.get().purchase.total == PRICE - 1000


def test_the_cap_counts_what_was_paid_this_month(switch_on, ann):
    refill = switch_on(cap=2 * PRICE + PRICE - 1)
    for _ in range(4):
        use_up(ann)
        refill_again(refill)
    assert refill.attempts.count() == 2
    assert claims.count_spent(refill) == 2 * PRICE


def test_the_cap_does_not_count_last_month(switch_on, ann):
    refill = switch_on(cap=PRICE)
    use_up(ann)
    charging.run_due()
    RefillAttempt.objects.update(claimed_at=F("claimed_at") - timedelta(days=31))
    use_up(ann)
    refill_again(refill)
    assert refill.attempts.count() == 2


def test_the_cap_does_not_count_what_failed(switch_on, ann, save_card):
    refill = switch_on("chargeCustomerFail", cap=PRICE)
    use_up(ann)
    charging.run_due()
    Refill.objects.update(payment_method=save_card("visa"))
    assert refill_again(refill).state == "paid"


def test_money_under_way_counts_and_a_second_attempt_waits(due, ann):
    claims.claim_due()
    let_an_hour_pass(due)
    assert claims.claim_due() == []


@pytest.mark.parametrize("how", ["off", "frozen", "closed", "inactive"])
def test_nobody_is_charged_who_does_not_want_or_may_not(due, ann, fake_stripe, how):
    stop(ann, how)
    charging.run_due()
    assert fake_stripe.list_objects("payment_intent") == []
    assert not due.attempts.exists()


@pytest.mark.parametrize("how", ["off", "frozen", "closed"])
def test_a_claim_that_was_not_sent_yet_ends_with_the_consent(due, ann, fake_stripe, how):
    claims.claim_due()
    stop(ann, how)
    charging.run_due()
    assert fake_stripe.list_objects("payment_intent") == []
    attempt = due.attempts.get()
    assert (attempt.state, attempt.problem, attempt.purchase.state) == (
        "failed",
        "not_sent",
        "failed",
    )
    due.refresh_from_db()
    assert due.failures == 0


def stop(user: User, how: str) -> None:
    if how == "off":
        consent.switch_off(user)
    elif how == "frozen":
        freeze(user, "disputed")
    elif how == "closed":
        account_deletion.close(user=user, source=UNKNOWN)
    else:
        User.objects.filter(pk=user.pk).update(is_active=False)


def test_a_lost_answer_is_asked_for_again_and_charges_once(due, ann, fake_stripe):
    fake_stripe.lose_next_answer("/v1/payment_intents")
    fake_stripe.lose_next_answer("/v1/payment_intents")
    charging.run_due()
    assert due.attempts.get().state == "claimed"
    let_time_pass(minutes=2)
    charging.run_due()
    assert due.attempts.get().state == "paid"
    assert len(fake_stripe.list_objects("payment_intent")) == 1
    assert count_credits(ann) == 1550


def test_a_day_later_a_lost_answer_is_looked_for_and_never_repeated(due, ann, fake_stripe):
    lose_answer(fake_stripe, "drop_after")
    let_time_pass(hours=24)
    charging.run_due()
    assert due.attempts.get().state == "paid"
    assert len(fake_stripe.list_objects("payment_intent")) == 1


def test_a_request_that_never_arrived_is_given_up_after_a_day(due, ann, fake_stripe):
    lose_answer(fake_stripe, "drop_before")
    let_time_pass(hours=24)
    charging.run_due()
    attempt = due.attempts.get()
    assert (attempt.state, attempt.problem) == ("failed", "never_arrived")
    assert fake_stripe.list_objects("payment_intent") == []


def test_a_request_without_an_answer_is_not_repeated_once_the_refill_is_off(due, ann, fake_stripe):
    lose_answer(fake_stripe, "drop_before")
    consent.switch_off(ann)
    let_time_pass(minutes=5)
    charging.run_due()
    assert due.attempts.get().state == "claimed"
    assert fake_stripe.list_objects("payment_intent") == []


def test_an_event_that_comes_before_our_own_commit_gives_the_credits_once(due, ann, fake_stripe):
    lose_answer(fake_stripe, "drop_after")
    settlement.settle(Purchase.objects.get(kind="refill"))
    let_time_pass(minutes=5)
    charging.run_due()
    assert due.attempts.get().state == "paid"
    assert count_credits(ann) == 1550


def test_an_account_that_is_closed_while_its_card_is_charged_gets_the_money_back(
    due, ann, fake_stripe
):
    lose_answer(fake_stripe, "drop_after")
    account_deletion.close(user=ann, source=UNKNOWN)
    let_time_pass(minutes=5)
    charging.run_due()
    attempt = due.attempts.get()
    assert (attempt.state, attempt.purchase.state) == ("failed", "returned")
    assert len(fake_stripe.list_objects("refund")) == 1
    assert count_credits(ann) == 50


def test_a_restored_database_is_caught_up_before_the_card_is_charged_again(
    due, ann, fake_stripe, settings
):
    metadata = {"site": settings.STRIPE_SITE, "user": ann.public_id, "purchase": "lost"}
    fake_stripe.api.payment_intents.create(
        {
            "amount": PRICE,
            "currency": "usd",
            "customer": Customer.objects.get(user=ann).stripe_customer,
            "payment_method": due.payment_method,
            "off_session": True,
            "confirm": True,
            "metadata": {**metadata, "kind": "refill", "credits": "1500", "name": "Pro"},
        }
    )
    charging.run_due()
    assert len(fake_stripe.list_objects("payment_intent")) == 1
    assert count_credits(ann) == 1550
    lost = Purchase.objects.get(public_id="lost")
    assert (lost.kind, lost.state) == ("refill", "paid")
    assert due.attempts.get(state="failed").problem == "not_sent"
    assert claims.count_spent(due) == PRICE  # as before, so the monthly limit holds


def test_a_wrong_key_is_no_failure_of_the_card(due, fake_stripe):
    fake_stripe.act("revoke_key", key=KEY)
    charging.run_due()
    due.refresh_from_db()
    assert (due.failures, due.attempts.get().state) == (0, "claimed")


def test_a_card_that_is_gone_at_stripe_counts_as_a_failure(due, fake_stripe):
    fake_stripe.api.payment_methods.detach(due.payment_method)
    charging.run_due()
    due.refresh_from_db()
    assert (due.failures, due.attempts.get().state) == (1, "failed")


def lose_answer(fake_stripe, kind: str) -> None:
    """Run the job while Stripe's answers to POSTs are lost."""
    fake_stripe.break_next(kind, times=2, method="POST", path="/v1/payment_intents")
    charging.run_due()


def let_time_pass(**much: int) -> None:
    """Let an attempt be as old as that."""
    ago = timedelta(**much)
    RefillAttempt.objects.update(
        claimed_at=F("claimed_at") - ago,
        first_sent_at=F("first_sent_at") - ago,
        next_try_at=F("next_try_at") - ago,
    )
