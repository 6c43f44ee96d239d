"""Where nothing can be paid online, a user asks for a package and the operator answers."""

import pytest

from credits.models import Package, PackageRequest
from credits.purchases import requests
from credits.purchases.refusals import NotOnSale
from tests.concurrently import concurrently
from tests.credits.purchases.conftest import make_package


def test_a_request_is_stored_once_until_it_is_answered(ann, package, make_user):
    first = requests.ask(user=ann, package=package)
    assert requests.ask(user=ann, package=package) == first
    requests.ask(user=make_user("bob@example.com"), package=package)
    requests.ask(user=ann, package=make_package("Other"))
    assert PackageRequest.objects.filter(answered_at=None).count() == 3
    operator = make_user("op@example.com")
    assert requests.answer(first, actor=operator)
    assert not requests.answer(first, actor=operator)
    assert requests.ask(user=ann, package=package) != first


@pytest.mark.django_db(transaction=True)
def test_a_double_click_is_one_request(ann, package):
    asked = concurrently(lambda _: requests.ask(user=ann, package=package).pk, threads=6)
    assert len(set(asked)) == 1


def test_a_withdrawn_package_cannot_be_asked_for(ann, package):
    Package.objects.update(is_active=False)
    with pytest.raises(NotOnSale):
        requests.ask(user=ann, package=Package.objects.get())
