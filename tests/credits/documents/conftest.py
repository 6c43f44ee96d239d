"""Purchases and their documents, of a registrant of Thai VAT or of somebody else."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from accounts.models import User
from credits import ledger
from credits.documents import buyer_details
from credits.documents.buyer_details import Buyer
from credits.documents.issue import issue_document
from credits.models import Dispute, Document, Package, PaymentReversal, Purchase, Transaction
from credits.purchases import taxes
from credits.reversals.postings import move_credits
from smartspec.buying import read_rates
from tests.credits.audited import audited  # noqa: F401 – runs after each test

PAID_AT = datetime(2026, 11, 30, 18, 30, tzinfo=UTC)  # 1 December in Bangkok
COMPANY = Buyer(
    name="บริษัท ผู้ซื้อ จำกัด",
    address="99/1 ถนนสุขุมวิท\nแขวงคลองเตย เขตคลองเตย กรุงเทพมหานคร 10110",
    tax_number="0107536000315",
    branch="00000",
)
PERSON = Buyer(name="Ann Example", address="12 Rama IV Road\nBangkok 10500")
PLAIN = {"kind": "package", "state": "paid", "method": "card", "language": "en"}
_numbers = itertools.count()


@pytest.fixture
def seller(settings: Any) -> Any:
    """A registrant of Thai VAT, who sells in baht and dollars."""
    settings.TAX_INVOICES, settings.TAX_MODE = True, "included"
    settings.TAX_RATES = read_rates("7 until 2027-09-30, 10")
    settings.CURRENCIES = ["thb", "usd"]
    settings.SELLER_NAME = "บริษัท สมาร์ทสเปค จำกัด"
    settings.SELLER_ADDRESS = "1 ถนนสีลม แขวงสีลม เขตบางรัก กรุงเทพมหานคร 10500"
    settings.SELLER_TAX_NUMBER = "0994000617721"
    settings.SELLER_BRANCH = "00000"
    settings.SELLER_TIME_ZONE = "Asia/Bangkok"
    return settings


@pytest.fixture
def pay() -> Callable[..., Purchase]:
    """Make a paid purchase of 500 credits."""

    def make(user: User, total: int = 199_00, currency: str = "thb", **fields: Any) -> Purchase:
        paid_at = fields.pop("paid_at", PAID_AT)
        net, tax, percent = taxes.split(total, paid_at or PAID_AT)
        package, _ = Package.objects.get_or_create(
            name="Starter", defaults={"credits": 500, "price_usd": 5}
        )
        row = Purchase.objects.create(
            user=user,
            name="Starter: 500 credits",
            credits=500,
            currency=currency,
            net=net,
            tax=tax,
            total=total,
            tax_percent=percent,
            livemode=False,
            paid_at=paid_at,
            **{
                "package": package,
                "payment_intent": f"pi_{next(_numbers)}",
                **PLAIN,
                **fields,
            },
        )
        if row.state == "paid":
            row.transaction = _give_credits(row)
            row.save(update_fields=["transaction"])
        return row

    return make


def _give_credits(purchase: Purchase) -> Transaction:
    is_plan = purchase.kind == Purchase.Kind.PLAN
    return ledger.add(
        user=purchase.user,
        amount=purchase.credits,
        type="subscription" if is_plan else "purchase",
        description=purchase.name,
        reference_id=purchase.invoice if is_plan else purchase.payment_intent,
        idempotency_key=f"paid:{purchase.public_id}",
    )


@pytest.fixture
def issue(pay: Callable[..., Purchase]) -> Callable[..., Document]:
    """Make a paid purchase with its document. `buyer` is stored before."""

    def make(user: User, *, buyer: Buyer | None = None, **fields: Any) -> Document:
        if buyer:
            buyer_details.save(user, buyer)
        return issue_document(pay(user, **fields))

    return make


@pytest.fixture
def reverse() -> Callable[..., PaymentReversal]:
    """Make a refund, or a dispute with the given status, of a document's purchase.

    It takes its share of the credits.
    """

    def make(document: Document, amount: int, *, dispute: str = "") -> PaymentReversal:
        number = next(_numbers)
        disputed = dispute and Dispute.objects.create(
            stripe_id=f"dp_{number}", purchase=document.purchase, kind="dispute", status=dispute
        )
        reversal = PaymentReversal.objects.create(
            stripe_id=f"re_{number}",
            purchase=document.purchase,
            kind="dispute" if dispute else "refund",
            status="succeeded",
            amount=amount,
            dispute=disputed or None,
        )
        move_credits(document.purchase)
        return reversal

    return make


@pytest.fixture
def december() -> Any:
    """The day of the payments is today."""
    with time_machine.travel(PAID_AT, tick=False):
        yield
