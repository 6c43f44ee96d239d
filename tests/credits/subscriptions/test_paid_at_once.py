"""Two subscriptions of one buyer that are paid at the same moment."""

import pytest

from credits.models import Purchase, Transaction
from credits.subscriptions import following
from tests.concurrently import concurrently
from tests.credits.subscriptions.conftest import open_two_pages

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_plans_that_are_settled_at_once_one_gives_credits(begin, fake_stripe, ann):
    rows = open_two_pages(begin)
    for row in rows:
        fake_stripe.pay(row.checkout_session)
    concurrently(lambda number: following.refresh(rows[number % 2]), threads=6)
    assert Transaction.objects.filter(user=ann).count() == 1
    states = sorted(Purchase.objects.values_list("state", flat=True))
    assert states == ["paid", "returned"]
    assert len(fake_stripe.list_objects("refund")) == 1


def test_one_invoice_that_is_settled_by_many_at_once_gives_once(begin, fake_stripe, ann):
    row = begin()
    fake_stripe.pay(row.checkout_session)
    concurrently(lambda _: following.refresh(row), threads=8)
    assert Transaction.objects.filter(user=ann).count() == 1
    assert Purchase.objects.count() == 1
