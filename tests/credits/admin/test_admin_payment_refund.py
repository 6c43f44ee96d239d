"""The page that refunds a payment: money is typed, credits are shown, and both go back."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from credits import ledger
from credits.models import Approval, Refund
from tests.credits.conftest import spend

pytestmark = pytest.mark.django_db


def page(row):
    return f"/admin/credits/transaction/{row.transaction_id}/refund/"


def read_key(shown):
    found = re.search(r'name="key" value="([^"]+)"', shown)
    assert found
    return found[1]


def preview(client, path, **fields):
    """Send the form for its preview, and return what the confirmation would send."""
    shown = client.get(path).content.decode()
    key = read_key(shown)
    sent = {"reason": "Goodwill", "key": key, **fields}
    text = client.post(path, sent).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', text))
    return text, {**hidden, "confirm": "1"}


def net(user):
    balance = ledger.balance(user)
    return balance.credits - balance.debt


def test_the_page_proposes_the_unspent_part_and_shows_the_credits(
    client,
    operator,
    make_user,
    pay,
):
    buyer = make_user()
    bought = pay(buyer)
    spend(buyer, 100)
    shown = client.get(page(bought)).content.decode()
    assert 'value="8.00"' in shown
    assert "400 credits for $8.00" in shown
    text, sent = preview(client, page(bought), money="2.50")
    assert "The refund of $2.50 takes 125 credits." in text
    assert (sent["credits"], net(buyer)) == ("125", 400)


def test_a_confirmed_refund_sends_money_and_takes_credits_once(
    client,
    operator,
    make_user,
    pay,
    fake_stripe,
):
    buyer = make_user()
    bought = pay(buyer)
    _, sent = preview(client, page(bought), money="10.00")
    answers = [client.post(page(bought), sent, follow=True) for _ in range(2)]
    assert all("on its way back" in each.content.decode() for each in answers)
    assert (net(buyer), Refund.objects.get().actor) == (0, operator)
    assert len(fake_stripe.list_objects("refund")) == 1
    assert "$10.00 for 500 credits: Goodwill" in LogEntry.objects.get().change_message
    assert "nothing left" in client.get(page(bought), follow=True).content.decode()


def test_spent_credits_become_a_debt_by_choice_only(
    client,
    operator,
    make_user,
    pay,
):
    buyer = make_user()
    bought = pay(buyer)
    spend(buyer, 450)
    text, _ = preview(client, page(bought), money="10.00")
    assert "not enough credits" in text
    text, sent = preview(client, page(bought), money="10.00", as_debt="on")
    assert "450 of them are spent and become a debt." in text
    client.post(page(bought), sent)
    assert ledger.balance(buyer).debt == 450


def test_what_stripe_refuses_is_told_and_given_back(
    client,
    operator,
    make_user,
    pay,
    fake_stripe,
):
    buyer = make_user()
    bought = pay(buyer)
    _, sent = preview(client, page(bought), money="10.00")
    fake_stripe.dispute(bought.payment_intent)
    answer = client.post(page(bought), sent).content.decode()
    assert "charged back" in answer
    assert net(buyer) == 500


def test_another_refund_meanwhile_asks_again(
    client,
    operator,
    make_user,
    pay,
    fake_stripe,
):
    from credits.reversals.apply import refresh

    bought = pay(make_user(), total=1000, credits=7)
    _, sent = preview(client, page(bought), money="4.00")
    fake_stripe.refund(bought.payment_intent, 200)
    refresh(bought)
    assert "takes 3 credits now" in client.post(page(bought), sent).content.decode()
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("money", ["0", "-1", "10.01", "0.001", "", "abc", "1e9", "NaN", "1\0"])
def test_a_wrong_amount_is_an_error_on_the_form(
    client,
    operator,
    make_user,
    pay,
    money,
):
    bought = pay(make_user())
    text, _ = preview(client, page(bought), money=money)
    assert "text-red-" in text
    assert Refund.objects.count() == 0


def test_a_large_refund_waits_for_a_second_administrator(
    client,
    operator,
    second,
    make_user,
    pay,
    settings,
    fake_stripe,
):
    settings.ADJUST_APPROVAL_CREDITS = 400
    buyer = make_user()
    bought = pay(buyer)
    _, sent = preview(client, page(bought), money="10.00")
    assert "has been sent" in client.post(page(bought), sent, follow=True).content.decode()
    approval = Approval.objects.get()
    assert (approval.amount, approval.money, net(buyer)) == (500, 1000, 500)
    client.force_login(second)
    path = f"/admin/credits/approval/{approval.pk}/approve/"
    shown = client.get(path).content.decode()
    assert "$10.00" in shown
    key = read_key(shown)
    client.post(path, {"reason": "", "key": key, "confirm": "1"})
    assert (net(buyer), Refund.objects.get().state) == (0, "accepted")
    assert len(fake_stripe.list_objects("refund")) == 1
    assert approval.transactions.get() == Refund.objects.get().transaction


def test_a_purchase_without_a_payment_at_stripe_keeps_the_old_page(
    client, operator, ann, buy, filled
):
    bought = buy(ann, 500)
    path = f"/admin/credits/transaction/{bought.pk}/refund/"
    client.post(path, filled(client, path, amount="200"))
    assert (net(ann), Refund.objects.count()) == (400, 0)


def test_support_may_not_refund_a_payment(client, support, make_user, pay):
    bought = pay(make_user())
    client.force_login(support)
    assert client.get(page(bought)).status_code == 403
