"""An administrator decides about a payment that is not what was agreed."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from accounts.access import account_deletion
from accounts.access.administrators_log import Act
from accounts.toolbox.request_source import UNKNOWN
from credits import ledger
from credits.models import Approval, Document, Purchase, Refund, Transaction
from credits.operators import approvals, reviews
from credits.operators.reviews import NotAcceptable, NotInReview
from credits.proof import audit
from credits.purchases import comparison, settlement
from credits.shop.standing import describe_standing
from tests.concurrently import concurrently
from tests.credits.payments import make_purchase as make_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def odd(fake_stripe, ann):
    """A payment of 990 cents where 1,000 were agreed, for 500 credits."""
    row = make_payment(fake_stripe, ann)
    fake_stripe.get("payment_intent", row.payment_intent)["amount_received"] = 990
    return settlement.settle(row)


def page(row, act="accept"):
    return f"/admin/credits/purchase/{row.pk}/{act}/"


def count_credits(user):
    return ledger.balance(user).credits


def test_an_accepted_payment_gives_its_credits_and_a_receipt_over_what_came(
    client, operator, odd, ann, filled
):
    asked = filled(client, page(odd))
    del asked["confirm"]
    shown = client.post(page(odd), asked).content.decode()
    assert all(words in shown for words in ("$10.00", "$9.90", "gets 500 credits for $9.90"))
    assert page(odd) in client.get(f"/admin/credits/purchase/{odd.pk}/change/").content.decode()
    client.post(page(odd), filled(client, page(odd)))
    odd.refresh_from_db()
    assert (odd.state, odd.total, odd.net, odd.problem) == ("paid", 990, 990, "")
    assert (odd.decided_by, odd.decision, count_credits(ann)) == (operator, "Goodwill", 600)
    assert Document.objects.get().facts["total"] == 990
    entry = LogEntry.objects.get()
    assert entry.action_flag == Act.ACCEPTED
    assert "500 credits for $9.90 (The total is 990" in entry.change_message
    assert audit.run().findings == []
    assert page(odd) not in client.get(f"/admin/credits/purchase/{odd.pk}/change/").content.decode()


def test_a_form_sent_twice_accepts_once(client, operator, odd, ann, filled):
    sent = filled(client, page(odd))
    answers = [client.post(page(odd), sent, follow=True).content.decode() for _ in range(2)]
    assert all("the user has the credits" in answer for answer in answers)
    assert (count_credits(ann), LogEntry.objects.count()) == (600, 1)


def test_an_accepted_payment_is_refunded_by_what_came(client, operator, odd, ann, filled):
    client.post(page(odd), filled(client, page(odd)))
    refund = f"/admin/credits/purchase/{odd.pk}/refund/"
    client.post(refund, filled(client, refund, money="9.90", credits="500"))
    assert (Refund.objects.get().amount, count_credits(ann)) == (990, 100)


def test_money_in_review_goes_back_and_the_case_is_closed(client, operator, odd, ann, filled):
    refund, accepting = f"/admin/credits/purchase/{odd.pk}/refund/", filled(client, page(odd))
    assert 'value="9.90"' in client.get(refund).content.decode()
    client.post(refund, filled(client, refund, money="9.90", credits="0"))
    assert (Refund.objects.get().state, count_credits(ann)) == ("accepted", 100)
    assert not Purchase.objects.in_review().exists()
    assert describe_standing(Purchase.objects.get()).name in ("sent_back", "refunding")
    assert "does not wait" in client.get(page(odd), follow=True).content.decode()
    assert "does not wait" in client.post(page(odd), accepting).content.decode()
    assert not Transaction.objects.filter(type="purchase").exists()
    assert comparison.compare().problems == 0


def test_a_case_that_is_settled_otherwise_is_closed_without_credits(
    client, operator, odd, ann, filled, fake_stripe
):
    client.post(page(odd, "leave"), filled(client, page(odd, "leave")))
    assert (LogEntry.objects.get().action_flag, count_credits(ann)) == (Act.LEFT, 100)
    assert not Purchase.objects.in_review().exists()
    assert describe_standing(Purchase.objects.get()).name == "left"
    fake_stripe.get("payment_intent", odd.payment_intent)["amount_received"] = 1000
    assert (settlement.settle(odd).state, count_credits(ann)) == ("review", 100)


def test_a_large_payment_is_accepted_by_a_second_administrator(
    client, operator, second, odd, ann, filled, settings
):
    settings.ADJUST_APPROVAL_CREDITS = 499
    client.post(page(odd), filled(client, page(odd)))
    approval = Approval.objects.get()
    assert (approval.kind, approval.accepts, count_credits(ann)) == ("accept", odd, 100)
    client.force_login(second)
    decide = f"/admin/credits/approval/{approval.pk}/approve/"
    assert "990" in client.get(decide).content.decode()
    client.post(decide, filled(client, decide))
    assert count_credits(ann) == 600
    assert approval.transactions.get() == Transaction.objects.latest("pk")
    assert Purchase.objects.get().decided_by == operator


def test_a_request_that_was_overtaken_by_another_decision_gives_nothing_more(
    operator, second, odd, ann, settings
):
    settings.ADJUST_APPROVAL_CREDITS = 499
    approval = approvals.accept_payment_or_ask(odd, "Fine", actor=operator, key="k1")
    assert approval is not None
    settings.ADJUST_APPROVAL_CREDITS = None
    approvals.accept_payment_or_ask(odd, "Fine too", actor=second, key="k2")
    with pytest.raises(NotInReview):
        approvals.approve(approval, actor=second, note="")
    assert (count_credits(ann), Approval.objects.get().state) == (600, "pending")


@pytest.mark.django_db(transaction=True)
def test_two_administrators_at_once_give_the_credits_once(odd, ann, make_user):
    actors = [make_user(f"op{n}@example.com", is_superuser=True) for n in range(2)]

    def accept(number):
        try:
            approvals.accept_payment_or_ask(
                odd, f"By {number}", actor=actors[number], key=f"{number}"
            )
        except NotInReview:
            return "too late"
        return "done"

    assert sorted(concurrently(accept, threads=2)) == ["done", "too late"]
    assert (count_credits(ann), LogEntry.objects.count()) == (600, 1)


def test_a_payment_that_cannot_give_credits_is_refused_with_the_reason(
    operator, odd, ann, fake_stripe
):
    intent = fake_stripe.get("payment_intent", odd.payment_intent)
    intent["status"] = "processing"
    with pytest.raises(NotAcceptable, match="does not say that this was paid"):
        approvals.accept_payment_or_ask(odd, "x", actor=operator, key="k")
    intent["status"] = "succeeded"
    Purchase.objects.update(credits=0)
    with pytest.raises(NotAcceptable, match="No credits were agreed"):
        reviews.ask(odd)
    Purchase.objects.update(credits=500)
    account_deletion.close(user=ann, source=UNKNOWN)
    with pytest.raises(NotAcceptable, match="closed"):
        reviews.ask(odd)
    fake_stripe.break_next("drop_before", times=5)
    with pytest.raises(reviews.NoAnswer):
        reviews.ask(odd)


def test_a_payment_of_another_purchase_gives_no_second_credits(operator, odd, ann, fake_stripe):
    first = Purchase.objects.get(pk=odd.pk)
    other = make_payment(fake_stripe, ann)
    Purchase.objects.filter(pk=other.pk).update(state="review", payment_intent="")
    Purchase.objects.filter(pk=other.pk).update(checkout_session="cs_1")
    finding = reviews.ask(first)
    with pytest.raises(NotAcceptable, match="another purchase"):
        reviews.accept(other, finding, reviews.Decision(operator, "x"))


def test_only_who_may_accepts(client, support, odd, ann):
    client.force_login(support)
    sent = {"reason": "x", "key": "k", "confirm": "1"}
    for act in ("accept", "leave"):
        assert client.post(page(odd, act), sent).status_code == 403
    support.user_permissions.add(Permission.objects.get(codename="accept_payment"))
    assert client.post(page(odd), sent).status_code == 302
    assert count_credits(ann) == 600
