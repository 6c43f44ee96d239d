"""A buyer has one page on which a plan can be begun, whatever the number of tabs."""

import pytest

from accounts.models import User
from credits.models import Purchase, Subscription
from credits.purchases import limits
from credits.purchases.refusals import TooManyAttempts
from credits.stripe_api import checkout
from credits.subscriptions import following, start
from credits.subscriptions.refusals import AlreadySubscribed, AnotherBegun
from smartspec.local.fake_stripe.wire.refusals import RefusedAct
from tests.concurrently import concurrently
from tests.credits.subscriptions.conftest import list_grants, open_two_pages


def list_pages(fake_stripe, status="open"):
    return [one["id"] for one in fake_stripe.list_objects("checkout.session", status=status)]


def test_another_tab_leads_to_the_page_that_is_open(begin, fake_stripe):
    assert begin(form_key="one") == begin(form_key="two")
    assert len(fake_stripe.list_objects("checkout.session")) == 1


def test_another_plan_ends_the_page_of_the_first(begin, fake_stripe):
    first, second = begin(form_key="one"), begin("team", form_key="two")
    first.refresh_from_db()
    assert (first.status, second.status) == ("expired", "open")
    assert list_pages(fake_stripe) == [second.checkout_session]
    again = begin(form_key="one")  # The old form, after the browser's Back.
    assert again.pk not in (first.pk, second.pk)
    assert list_pages(fake_stripe) == [again.checkout_session]


def test_who_presses_without_end_asks_stripe_30_times_a_minute(begin, fake_stripe, monkeypatch):
    begin(form_key="one")
    monkeypatch.setattr(limits, "ASKS_PER_MINUTE", 2)
    for number in range(2):
        begin(form_key=f"again{number}")
    with pytest.raises(TooManyAttempts):
        begin(form_key="last")


def test_a_new_price_opens_a_new_page(begin, fake_stripe, plans):
    begin(form_key="one")
    plans["pro"].prices.filter(currency="usd").update(amount=2100)
    second = begin(form_key="two", shown_price=2100)
    assert list_pages(fake_stripe) == [second.checkout_session]


def test_a_page_that_ends_soon_is_opened_anew(begin, fake_stripe):
    first = begin(form_key="one")
    Subscription.objects.update(expires_at=first.created_at + start.ENOUGH)
    assert begin(form_key="two") != first
    assert len(list_pages(fake_stripe)) == 1


def test_a_page_that_was_paid_before_its_event_begins_no_second_one(begin, fake_stripe, ann):
    fake_stripe.pay(begin(form_key="one").checkout_session)
    with pytest.raises(AlreadySubscribed):
        begin("team", form_key="two")
    assert list_grants(ann) == [(1000, "subscription")]


@pytest.mark.parametrize("paid", [0, 1])
@pytest.mark.parametrize("second", ["pro", "team"])
def test_of_two_open_pages_the_first_that_is_paid_ends_the_other(
    begin, fake_stripe, tell, ann, paid, second
):
    rows = open_two_pages(begin, second)
    fake_stripe.pay(rows[paid].checkout_session)
    tell("checkout.session.completed")
    assert list_pages(fake_stripe, "expired") == [rows[1 - paid].checkout_session]
    with pytest.raises(RefusedAct):
        fake_stripe.pay(rows[1 - paid].checkout_session)
    tell(reverse=True)
    assert Purchase.objects.get().state == "paid"
    assert len(list_grants(ann)) == 1


def test_a_plan_that_is_begun_while_a_page_is_opened_ends_that_page(
    begin, fake_stripe, monkeypatch
):
    open_session = checkout.open_session

    def open_late(parameters, *, key):
        session = open_session(parameters, key=key)
        monkeypatch.setattr(checkout, "open_session", open_session)
        begin("team", form_key="two")
        return session

    monkeypatch.setattr(checkout, "open_session", open_late)
    with pytest.raises(AnotherBegun):
        begin(form_key="one")
    assert list_pages(fake_stripe) == [Subscription.objects.get(status="open").checkout_session]
    assert Subscription.objects.get(status="open").plan_id == "team"


def test_a_page_that_is_opened_after_it_was_looked_for_is_ended(begin, fake_stripe, monkeypatch):
    check = limits.check

    def check_late(*args, **options):
        monkeypatch.setattr(limits, "check", check)
        begin(form_key="one")
        check(*args, **options)

    monkeypatch.setattr(limits, "check", check_late)
    second = begin("team", form_key="two")
    assert list_pages(fake_stripe) == [second.checkout_session]


def test_a_row_whose_page_is_opened_after_another_plan_was_begun_is_ended(
    begin, fake_stripe, monkeypatch, ann, plans
):
    check, rows = limits.check, []

    def check_late(*args, **options):
        rows.append(start._write(ann, start.Wanted(plans["pro"], "usd", 2000), None))
        check(*args, **options)

    monkeypatch.setattr(limits, "check", check_late)
    second = begin("team", form_key="two")
    with pytest.raises(AnotherBegun):
        start.open_page(rows[0])
    assert list_pages(fake_stripe) == [second.checkout_session]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slugs", [("pro", "pro"), ("pro", "team")])
def test_tabs_that_begin_at_once_leave_one_page(begin, fake_stripe, ann, slugs):
    def press(number):
        try:
            return begin(slugs[number % 2], form_key=f"tab{number}").status
        except AnotherBegun:
            return "another"

    results = concurrently(press, threads=4)
    assert "open" in results
    pages = list_pages(fake_stripe)
    assert len(pages) == 1
    assert following.list_open(User.objects.get(pk=ann.pk)).get().checkout_session == pages[0]
