"""Many workers at once claim a refill once, also across commits of their own."""

from typing import Any

import pytest

from accounts.models import User
from credits.models import Customer, Package, Purchase, Refill, RefillAttempt
from credits.refills import charging, claims
from tests.concurrently import concurrently
from tests.credits.refills.conftest import PRICE

pytestmark = pytest.mark.django_db(transaction=True)


def make_due_refill(user: User, package: Package, **changes: Any) -> Refill:
    """Return a refill that is on, of a user without credits."""
    fields = {
        "user": user,
        "enabled_at": "2026-11-01T00:00Z",
        "package": package,
        "credits": package.credits,
        "currency": "usd",
        "price": PRICE,
        "threshold": 100,
        "monthly_cap": 4 * PRICE,
        "payment_method": "pm_1",
        "card": "Visa •••• 4242",
    }
    return Refill.objects.create(**{**fields, **changes})


@pytest.fixture
def package(transactional_db: None) -> Package:
    package = Package.objects.create(name="Pro", credits=1500, price_usd=50)
    package.prices.create(currency="usd", amount=PRICE)
    return package


def test_64_threads_claim_one_refill_once(package, make_user):
    make_due_refill(make_user(), package)
    claimed = concurrently(lambda _: len(claims.claim_due()), threads=64)
    assert sum(claimed) == 1
    assert (RefillAttempt.objects.count(), Purchase.objects.count()) == (1, 1)


def test_threads_that_run_the_whole_job_charge_each_card_once(package, make_user, fake_stripe):
    for number in range(3):
        user = make_user(f"u{number}@example.com")
        customer = fake_stripe.api.customers.create({"email": user.email}).id
        method = fake_stripe.api.payment_methods.attach("pm_card_visa", {"customer": customer})
        Customer.objects.create(user=user, stripe_customer=customer)
        make_due_refill(user, package, payment_method=method.id)
    concurrently(lambda _: charging.run_due(), threads=8)
    paid = fake_stripe.list_objects("payment_intent", status="succeeded")
    assert len(paid) == 3
    charging.run_due()
    assert set(User.objects.values_list("credits", flat=True)) == {1500}


def test_while_stripe_is_away_one_card_is_tried_and_the_others_wait(
    package, make_user, fake_stripe
):
    for number in range(3):
        user = make_user(f"u{number}@example.com")
        Customer.objects.create(user=user, stripe_customer=f"cus_{number}")
        make_due_refill(user, package)
    fake_stripe.break_next("error_before", times=100)
    assert charging.run_due() == 0
    sent = RefillAttempt.objects.exclude(first_sent_at=None, next_try_at=None)
    assert sent.count() == 1


def test_the_database_refuses_a_second_attempt_under_way(package, make_user):
    from django.db import IntegrityError

    refill = make_due_refill(make_user(), package)
    (attempt,) = claims.claim_due()
    twin = Purchase.objects.get(pk=attempt.purchase_id)
    twin.pk, twin.public_id, twin._state.adding = None, "twin", True
    twin.save()
    with pytest.raises(IntegrityError, match="one_under_way"):
        RefillAttempt.objects.create(refill=refill, purchase=twin)
