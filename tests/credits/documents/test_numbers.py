"""The numbers of documents have no gaps, whatever happens at once or fails."""

from collections.abc import Callable

import pytest
from django.db.transaction import atomic

from accounts.models import User
from credits.documents.issue import issue_document
from credits.documents.numbers import format_number
from credits.models import Document, DocumentCounter, Purchase
from credits.models.documents import DocumentKind
from tests.concurrently import concurrently

THREADS = 32


class Failed(Exception):
    """Something that goes wrong after the document was written."""


@pytest.mark.django_db(transaction=True)
def test_32_at_once_leave_no_gap_although_every_third_fails(
    poor: User, pay: Callable[..., Purchase]
) -> None:
    purchases = [pay(poor) for _ in range(THREADS)]

    def settle(number: int) -> bool:
        try:
            with atomic():
                User.objects.locked(poor.pk)
                issue_document(purchases[number])
                if number % 3 == 0:
                    raise Failed
        except Failed:
            return False
        return True

    done = sum(concurrently(settle, threads=THREADS))
    serials = sorted(Document.objects.values_list("serial", flat=True))
    assert serials == list(range(1, done + 1))
    assert DocumentCounter.objects.get().last == done


@pytest.mark.django_db(transaction=True)
def test_different_users_at_once_wait_for_the_counter(
    make_user: Callable[..., User], pay: Callable[..., Purchase]
) -> None:
    purchases = [pay(make_user(f"user{number}@example.com")) for number in range(8)]

    def settle(number: int) -> str:
        with atomic():
            return issue_document(purchases[number]).number

    numbers = concurrently(settle, threads=8)
    assert sorted(numbers) == [f"RE2026-{serial:06}" for serial in range(1, 9)]


@pytest.mark.django_db(transaction=True)
def test_one_purchase_settled_by_many_gets_one_document(
    poor: User, pay: Callable[..., Purchase]
) -> None:
    purchase = pay(poor)

    def settle(_: int) -> str:
        with atomic():
            User.objects.locked(poor.pk)
            Purchase.objects.select_for_update(no_key=True).get(pk=purchase.pk)
            return issue_document(purchase).number

    assert set(concurrently(settle, threads=8)) == {"RE2026-000001"}


def test_numbers_of_all_kinds_differ() -> None:
    assert len({format_number(kind, 2026, 1) for kind in DocumentKind}) == len(DocumentKind)
    assert format_number("tax_invoice", 2026, 1_234_567) == "TI2026-1234567"
