"""Refunds in the admin: usage is returned, a purchase is taken back, each with actor and reason."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.access.administrators_log import Act
from credits import ledger
from credits.models import Approval, Transaction
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db


def page(row):
    return f"/admin/credits/transaction/{row.pk}/refund/"


def balance(user):
    return ledger.balance(user).credits


@pytest.fixture
def usage(ann, spend):
    return spend(ann, 40)


def test_a_usage_is_refunded_with_who_and_why(client, operator, ann, usage, filled):
    answer = client.post(page(usage), filled(client, page(usage), amount="40"))
    assert answer["Location"] == f"/admin/credits/transaction/{usage.pk}/change/"
    row = Transaction.objects.get(type="refund")
    assert (row.amount, row.reverses, row.actor, row.description) == (
        40,
        usage,
        operator,
        "Goodwill",
    )
    assert balance(ann) == 100


def test_the_form_proposes_what_is_left(client, operator, usage):
    ledger.refund(transaction=usage, amount=15, reason="Part", actor=None, idempotency_key="r1")
    assert 'value="25"' in client.get(page(usage)).content.decode()


def test_the_preview_shows_the_balance_after_and_writes_nothing(
    client, operator, ann, usage, filled
):
    sent = filled(client, page(usage), amount="30")
    del sent["confirm"]
    assert "<strong>90</strong>" in client.post(page(usage), sent).content.decode()
    assert (balance(ann), LogEntry.objects.count()) == (60, 0)


def test_a_refunded_purchase_leaves_the_balance(client, operator, ann, buy, filled):
    bought = buy(ann, 500)
    client.post(page(bought), filled(client, page(bought), amount="200"))
    assert balance(ann) == 400


def test_a_purchase_that_is_spent_offers_no_button(client, operator, ann, buy, filled):
    bought = buy(ann, 500)
    ledger.adjust(user=ann, amount=-550, reason="Spent", actor=None)
    sent = filled(client, page(bought), amount="500")
    assert "not enough credits" in client.post(page(bought), sent).content.decode()
    assert (
        'name="confirm"' not in client.post(page(bought), {**sent, "confirm": ""}).content.decode()
    )
    assert balance(ann) == 50


def test_a_form_sent_twice_refunds_and_logs_once(client, operator, ann, usage, filled):
    sent = filled(client, page(usage), amount="40")
    assert [client.post(page(usage), sent).status_code for _ in range(2)] == [302, 302]
    assert balance(ann) == 100
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag, entry.user) == (
        str(usage.pk),
        Act.REFUNDED,
        operator,
    )
    assert (
        "Goodwill" in client.get(f"/admin/credits/transaction/{usage.pk}/history/").content.decode()
    )


def test_a_form_used_before_does_not_refund_another_amount(client, operator, ann, usage, filled):
    sent = filled(client, page(usage), amount="10")
    client.post(page(usage), sent)
    assert (
        "already been used" in client.post(page(usage), {**sent, "amount": "12"}).content.decode()
    )
    assert balance(ann) == 70


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "41"},
        {"amount": "1.5"},
        {"amount": ""},
        {"amount": "9" * 30},
        {"amount": "1\0"},
        {"reason": ""},
        {"reason": " "},
        {"reason": "x" * 501},
        {"reason": "a\0b"},
        {"key": ""},
        {"key": "k" * 41},
    ],
)
def test_a_wrong_refund_is_an_error_on_the_form(client, operator, ann, usage, filled, wrong):
    answer = client.post(page(usage), filled(client, page(usage), **{"amount": "40", **wrong}))
    assert answer.status_code == 200
    assert "text-red-" in answer.content.decode()
    assert (balance(ann), LogEntry.objects.count()) == (60, 0)


@pytest.mark.parametrize("pk", ["0", "abc", "9" * 30, "1%2F2"])
def test_an_unknown_row_leads_to_the_list_and_says_so(client, operator, pk):
    answer = client.post(f"/admin/credits/transaction/{pk}/refund/", {"confirm": "1"}, follow=True)
    assert "no record with this number" in answer.content.decode()


def test_another_kind_of_row_is_not_refunded(client, operator, ann):
    bonus = Transaction.objects.get(user=ann)
    assert (
        "Only usage, purchases and paid subscriptions"
        in client.get(page(bonus), follow=True).content.decode()
    )
    shown = client.get(f"/admin/credits/transaction/{bonus.pk}/change/").content.decode()
    assert page(bonus) not in shown


def test_a_row_refunded_before_says_so(client, operator, usage):
    ledger.refund(transaction=usage, amount=None, reason="All", actor=None, idempotency_key="r1")
    assert "nothing left to refund" in client.get(page(usage), follow=True).content.decode()
    shown = client.get(f"/admin/credits/transaction/{usage.pk}/change/").content.decode()
    assert page(usage) not in shown


def test_a_get_refunds_nothing(client, operator, ann, usage):
    client.get(page(usage), {"amount": "40", "reason": "x", "key": "k", "confirm": "1"})
    assert balance(ann) == 60


def test_support_refunds_usage_but_no_purchases(client, support, ann, usage, buy, filled):
    client.force_login(support)
    client.post(page(usage), filled(client, page(usage), amount="40"))
    assert balance(ann) == 100
    bought = buy(ann, 500)
    assert client.get(page(bought)).status_code == 403
    assert (
        client.post(
            page(bought), {"amount": "1", "reason": "x", "key": "k", "confirm": "1"}
        ).status_code
        == 403
    )
    assert balance(ann) == 600


def test_a_large_refund_waits_for_a_second_administrator(
    client, operator, ann, usage, settings, filled
):
    settings.ADJUST_APPROVAL_CREDITS = 39
    answer = client.post(page(usage), filled(client, page(usage), amount="40"), follow=True)
    assert "Another administrator must approve" in answer.content.decode()
    approval = Approval.objects.get()
    assert (approval.kind, approval.amount, approval.refunds, approval.requester) == (
        "refund",
        40,
        usage,
        operator,
    )
    assert balance(ann) == 60


@pytest.mark.django_db(transaction=True)
def test_two_administrators_at_once_refund_no_more_than_there_was(make_user, spend, filled):
    ann = make_user(credits=100)
    usage = spend(ann, 40)
    clients = [Client(), Client()]
    for number, client in enumerate(clients):
        client.force_login(
            make_user(f"admin{number}@example.com", is_staff=True, is_superuser=True)
        )
    forms = [filled(client, page(usage), amount="30") for client in clients]
    concurrently(lambda number: clients[number].post(page(usage), forms[number]), threads=2)
    assert (balance(ann), LogEntry.objects.count()) == (90, 1)
