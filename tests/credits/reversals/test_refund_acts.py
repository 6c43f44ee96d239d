"""A refund is one act: credits and money go back exactly once, whatever fails in between."""

from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from credits import ledger
from credits.exceptions import IdempotencyConflict, InsufficientCredits
from credits.models import PaymentReversal, Purchase, Refund
from credits.reversals import records, sending
from credits.reversals.apply import refresh
from credits.reversals.refund_acts import Request, give_back, propose, refund, take
from credits.reversals.refusals import (
    CreditsChanged,
    NothingUnspent,
    PaymentDisputed,
    TooLateToReturn,
    TooMuchMoney,
)
from credits.stripe_api import refunds as stripe_refunds
from credits.stripe_api.client import StripeRefused
from tests.credits.conftest import give, hold, spend

State = Refund.State


def net(user):
    balance = ledger.balance(user)
    return balance.credits - balance.debt


def sum_refunded(fake, purchase):
    listed = fake.list_objects("refund", payment_intent=purchase.payment_intent)
    return sum(each["amount"] for each in listed if each["status"] not in ("failed", "canceled"))


def later(after):
    return time_machine.travel(timezone.now() + after, tick=True)


def ask(purchase, amount=1000, credits=None, key="k1", **options):
    return refund(purchase, amount, credits, "Goodwill", None, key, **options)


def test_money_and_credits_go_back_as_one(fake_stripe, buyer, pay):
    bought = pay(buyer)
    row = ask(bought, 400, 200)
    reversal = PaymentReversal.objects.get()
    assert (row.state, net(buyer), sum_refunded(fake_stripe, bought)) == (State.ACCEPTED, 300, 400)
    assert (reversal.refund, reversal.taken, reversal.credits) == (row, row.transaction, 200)
    assert fake_stripe.get("refund", row.stripe_id)["metadata"]["refund"] == row.public_id
    refresh(bought)
    assert (net(buyer), PaymentReversal.objects.count()) == (300, 1)


def test_the_proposal_is_the_unspent_part(fake_stripe, buyer, pay):
    bought = pay(buyer)
    give(buyer, 50)
    spend(buyer, 170)  # The bonus is burned first.
    proposal = propose(bought)
    assert (proposal.amount, proposal.credits, proposal.most_amount) == (760, 380, 1000)
    ask(bought, proposal.amount, proposal.credits)
    assert (ledger.balance(buyer).credits, propose(bought).amount) == (0, 0)


@pytest.mark.parametrize(
    ("total", "credits", "spent", "expected"),
    [
        (10, 3, 2, (4, 1)),  # 3 would take no credit at all
        (50, 100, 97, (1, 2)),  # a minor unit buys two credits
        (1000, 500, 0, (1000, 500)),
        (1000, 500, 500, (0, 0)),
    ],
)
def test_a_proposal_pays_for_whole_credits(buyer, pay, total, credits, spent, expected):
    bought = pay(buyer, total=max(total, 50), credits=credits)
    Purchase.objects.filter(pk=bought.pk).update(total=total, net=total)
    bought.refresh_from_db()
    if spent:
        spend(buyer, spent)
    assert (propose(bought).amount, propose(bought).credits) == expected


def test_held_credits_and_debt_are_not_unspent(buyer, pay):
    bought = pay(buyer)
    hold(buyer, 100)
    assert propose(bought).credits == 400


def test_what_is_spent_is_refunded_as_debt_only_by_choice(fake_stripe, buyer, pay):
    bought = pay(buyer)
    spend(buyer, 400)
    with pytest.raises(InsufficientCredits):
        ask(bought)
    assert (Refund.objects.count(), net(buyer), sum_refunded(fake_stripe, bought)) == (0, 100, 0)
    ask(bought, as_debt=True)
    balance = ledger.balance(buyer)
    assert (balance.credits, balance.debt, sum_refunded(fake_stripe, bought)) == (0, 400, 1000)


def test_the_same_form_refunds_once(fake_stripe, buyer, pay):
    bought = pay(buyer)
    assert ask(bought, 100) == ask(bought, 100)
    with pytest.raises(IdempotencyConflict):
        ask(bought, 101)
    assert (net(buyer), sum_refunded(fake_stripe, bought)) == (450, 100)


@pytest.mark.parametrize("amount", [0, -1, 1001])
def test_more_than_was_paid_is_refused(buyer, pay, amount):
    with pytest.raises(TooMuchMoney):
        ask(pay(buyer), amount)
    assert net(buyer) == 500


def test_other_credits_than_the_page_showed_are_refused(buyer, pay):
    with pytest.raises(CreditsChanged):
        ask(pay(buyer), 100, 49)
    assert net(buyer) == 500


def test_a_disputed_payment_is_not_refunded_until_it_is_won(fake_stripe, buyer, pay):
    bought = pay(buyer)
    dispute = fake_stripe.dispute(bought.payment_intent, amount=500)
    refresh(bought)
    with pytest.raises(PaymentDisputed):
        ask(bought, 100)
    fake_stripe.end_dispute(dispute["id"], "won")
    refresh(bought)
    assert ask(bought, 1000, key="k2").state == State.ACCEPTED
    assert net(buyer) == 0


def test_what_stripe_refuses_is_given_back_with_the_reason(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.dispute(bought.payment_intent)  # We do not know of it yet.
    row = ask(bought)
    assert (row.state, net(buyer)) == (State.REFUSED, 500)
    assert "charged back" in row.problem
    assert ask(bought).state == State.REFUSED


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "error_after"])
def test_a_lost_answer_refunds_once(fake_stripe, buyer, pay, kind):
    bought = pay(buyer)
    fake_stripe.break_next(kind, times=2, method="POST")
    row = ask(bought, 400)
    assert (row.state, net(buyer)) == (State.SENT, 300)
    with later(timedelta(minutes=2)):
        call_command("settle_refunds")
    row.refresh_from_db()
    assert (row.state, net(buyer), sum_refunded(fake_stripe, bought)) == (State.ACCEPTED, 300, 400)


@pytest.mark.parametrize("kind", ["drop_before", "error_before"])
def test_after_23_hours_nothing_is_sent_again(fake_stripe, buyer, pay, kind):
    """Stripe answers a 500 again for the same key, so that refund is given up, too."""
    bought = pay(buyer)
    fake_stripe.break_next(kind, times=2, method="POST")
    row = ask(bought, 400)
    with later(timedelta(hours=23, minutes=1)):
        call_command("settle_refunds")
    row.refresh_from_db()
    assert (row.state, net(buyer), sum_refunded(fake_stripe, bought)) == (State.REFUSED, 500, 0)


def test_after_23_hours_what_had_an_effect_is_found(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.break_next("drop_after", times=2, method="POST")
    row = ask(bought, 400)
    with later(timedelta(hours=30)):
        call_command("settle_refunds")
    row.refresh_from_db()
    assert (row.state, net(buyer), sum_refunded(fake_stripe, bought)) == (State.ACCEPTED, 300, 400)


STEPS = [
    (sending, "_claim"),
    (sending, "_post"),
    (stripe_refunds, "create_refund"),
    (sending, "_accept"),
    (records, "_note_refund"),
    (records, "move_credits"),
]


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_process_killed_at_any_step_refunds_once(fake_stripe, buyer, pay, module, name, is_after):
    bought = pay(buyer)
    original = getattr(module, name)

    def die(*args, **kwargs):
        if is_after:
            original(*args, **kwargs)
        raise Killed

    with mock.patch.object(module, name, die), pytest.raises(Killed):
        ask(bought, 400)
    with later(timedelta(minutes=2)):
        call_command("settle_refunds")
    refresh(bought)
    row = Refund.objects.get()
    assert (row.state, net(buyer), sum_refunded(fake_stripe, bought)) == (State.ACCEPTED, 300, 400)


def test_a_refund_that_fails_later_is_given_back(fake_stripe, buyer, pay):
    bought = pay(buyer)
    row = ask(bought, 400)
    fake_stripe.settle_refund(row.stripe_id, "failed")
    refresh(bought)
    row.refresh_from_db()
    assert (row.state, net(buyer), propose(bought).most_amount) == (State.REFUSED, 500, 1000)
    assert ask(bought, 1000, key="k2").state == State.ACCEPTED
    assert net(buyer) == 0


def test_an_event_that_comes_before_our_answer_is_linked(fake_stripe, buyer, pay):
    bought = pay(buyer)
    fake_stripe.break_next("drop_after", times=2, method="POST")
    row = ask(bought, 400)
    refresh(bought)
    row.refresh_from_db()
    assert (row.state, net(buyer)) == (State.ACCEPTED, 300)
    assert PaymentReversal.objects.get().refund == row


def test_a_buyer_gives_back_what_is_unspent(fake_stripe, buyer, pay):
    bought = pay(buyer)
    spend(buyer, 100)
    row = give_back(bought, "k")
    assert (row.amount, row.credits, row.state) == (800, 400, State.ACCEPTED)
    assert (give_back(bought, "k"), sum_refunded(fake_stripe, bought)) == (row, 800)
    with pytest.raises(NothingUnspent):
        give_back(bought, "another form")


def test_a_buyer_gives_back_within_some_days_only(buyer, pay, settings):
    bought = pay(buyer)
    Purchase.objects.update(paid_at=timezone.now() - timedelta(days=14, minutes=1))
    with pytest.raises(TooLateToReturn):
        give_back(bought, "k")
    settings.SELF_REFUND_DAYS = 0
    Purchase.objects.update(paid_at=timezone.now())
    with pytest.raises(TooLateToReturn):
        give_back(bought, "k")
    assert net(buyer) == 500


@pytest.mark.audit_finds(15, because="the purchase of a package is renamed a plan")
def test_a_plan_is_not_given_back_by_its_buyer(buyer, pay):
    bought = pay(buyer)
    Purchase.objects.update(kind="plan")
    with pytest.raises(TooLateToReturn):
        give_back(bought, "k")


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800", "k" * 1000])
def test_any_text_may_be_the_key_of_a_buyers_form(fake_stripe, buyer, pay, key):
    bought = pay(buyer)
    assert give_back(bought, key) == give_back(bought, key)
    assert sum_refunded(fake_stripe, bought) == 1000


def test_while_stripe_is_away_only_the_first_refund_is_tried(fake_stripe, buyer, pay):
    """Each try takes twenty seconds then, and other jobs of `tick` wait."""
    rows = [take(pay(buyer), Request(100, "why", f"k{number}")) for number in range(3)]
    fake_stripe.break_next("drop_before", times=2, method="POST")
    with later(timedelta(minutes=2)):
        assert (sending.send_due(), sending.send_due()) == (0, 2)
    with later(timedelta(minutes=4)):
        assert sending.send_due() == 1
    assert {Refund.objects.get(pk=row.pk).state for row in rows} == {State.ACCEPTED}


def test_a_refusal_of_the_second_try_is_believed_only_if_the_first_had_no_effect(
    fake_stripe, buyer, pay, monkeypatch
):
    bought = pay(buyer)
    fake_stripe.break_next("drop_after", times=2, method="POST")
    row = ask(bought, 400)

    def refuse(**asked):
        raise StripeRefused("No", code="", decline_code="", status=400, payment_intent={})

    monkeypatch.setattr(stripe_refunds, "create_refund", refuse)
    with later(timedelta(minutes=2)):
        assert sending.send(row).state == State.ACCEPTED
    assert (net(buyer), sum_refunded(fake_stripe, bought)) == (300, 400)
    assert ask(bought, 100, key="k2").state == State.REFUSED
    assert net(buyer) == 300
