"""Which document a payment gets, what it says, and that it never changes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError
from django.db.transaction import atomic
from django.template.loader import render_to_string

from accounts.access import account_deletion
from accounts.models import User
from accounts.toolbox.request_source import Source
from credits.documents import buyer_details, printed
from credits.documents.issue import (
    MOST_REPLACEMENTS,
    NotReplaceable,
    issue_document,
    refuse_buyer,
    replace_document,
)
from credits.models import Customer, Document, DocumentCounter, Package, Purchase
from smartspec.buying import read_rates
from tests.credits.documents.conftest import COMPANY, PAID_AT, PERSON

pytestmark = pytest.mark.django_db
Issue = Callable[..., Document]
Pay = Callable[..., Purchase]


def show(document: Document) -> str:
    context = printed.make_context(document, is_copy=False)
    return render_to_string("credits/documents/sheet.html", context)


def test_a_buyer_with_details_gets_a_tax_invoice(seller: Any, poor: User, issue: Issue) -> None:
    document = issue(poor, buyer=COMPANY)
    facts = document.facts
    assert (document.kind, document.number) == ("tax_invoice", "TI2026-000001")
    assert facts["title"] == {
        "th": "ใบกำกับภาษี / ใบเสร็จรับเงิน",
        "en": "Tax invoice / Receipt",
    }
    assert facts["buyer"]["tax_number"] == COMPANY.tax_number
    assert facts["seller"]["branch"] == "00000"
    assert (facts["net"], facts["tax"], facts["total"]) == (185_98, 13_02, 199_00)
    assert facts["words"]["th"] == "หนึ่งร้อยเก้าสิบเก้าบาทถ้วน"
    assert facts["date"] == "2026-12-01"  # the day of payment, in Bangkok


def test_a_tax_invoice_has_all_that_section_86_4_wants(
    seller: Any, poor: User, issue: Issue
) -> None:
    page = show(issue(poor, buyer=COMPANY))
    for wanted in (
        "ใบกำกับภาษี",
        seller.SELLER_NAME,
        seller.SELLER_ADDRESS,
        "0-9940-00617-72-1",
        "สำนักงานใหญ่",
        COMPANY.name,
        "0-1075-36000-31-5",
        "TI2026-000001",
        "เครดิต",
        "185.98",
        "ภาษีมูลค่าเพิ่ม 7%",
        "13.02",
        "199.00",
        "1 ธันวาคม 2569",
    ):
        assert wanted in page, wanted


def test_a_buyer_without_details_gets_an_abbreviated_one(
    seller: Any, poor: User, issue: Issue
) -> None:
    document = issue(poor)
    assert (document.kind, document.number) == ("abbreviated", "AB2026-000001")
    assert document.facts["buyer"] is None
    page = show(document)
    assert "ใบกำกับภาษีอย่างย่อ" in page
    assert "รวมภาษีมูลค่าเพิ่ม 7%" in page
    assert "13.02" not in page


@pytest.mark.parametrize(("currency", "is_registrant"), [("usd", True), ("thb", False)])
def test_every_other_sale_gets_a_receipt(
    seller: Any, poor: User, issue: Issue, currency: str, is_registrant: bool
) -> None:
    seller.TAX_INVOICES = is_registrant
    document = issue(poor, buyer=COMPANY, currency=currency)
    assert (document.kind, document.number) == ("receipt", "RE2026-000001")
    assert "ใบกำกับภาษี" not in show(document)


def test_a_seller_abroad_writes_in_the_language_of_the_buyer(poor: User, issue: Issue) -> None:
    german, thai = issue(poor, language="de"), issue(poor, language="th", currency="jpy", total=500)
    assert (german.facts["languages"], german.facts["title"]) == (["en"], {"en": "Payment receipt"})
    assert thai.facts["languages"] == ["th"]
    assert "500.00" not in show(thai)
    assert "JPY" in show(thai)


def test_no_change_of_anything_changes_a_document(seller: Any, poor: User, issue: Issue) -> None:
    document = issue(poor, buyer=COMPANY)
    before = show(document)
    seller.SELLER_NAME, seller.TAX_INVOICES, seller.TAX_MODE = "Another", False, "none"
    seller.TAX_RATES = read_rates("10")
    Package.objects.update(name="Renamed", credits=1)
    Purchase.objects.update(name="Renamed", tax=0, net=199_00)
    Customer.objects.update(invoice_name="Another", tax_number="")
    User.objects.update(email="other@example.com")
    assert show(Document.objects.get(pk=document.pk)) == before


def test_a_second_settlement_issues_nothing(seller: Any, poor: User, pay: Pay) -> None:
    purchase = pay(poor)
    assert issue_document(purchase) == issue_document(purchase)
    assert Document.objects.count() == DocumentCounter.objects.get().last == 1


def test_the_database_refuses_a_second_document_of_a_purchase(poor: User, issue: Issue) -> None:
    first = issue(poor)
    first.pk, first.public_id, first.serial, first.number = None, "other", 2, "RE2026-000002"
    with pytest.raises(IntegrityError, match="documents_one_per_purchase"), atomic():
        first.save()


def test_the_rate_is_that_of_the_day_of_payment(seller: Any, poor: User, pay: Pay) -> None:
    purchase = pay(poor, total=110_00)
    purchase.paid_at = PAID_AT.replace(year=2027)
    document = issue_document(purchase)
    assert (document.facts["tax"], document.facts["percent"]) == (10_00, "10")
    assert document.number == "AB2027-000001"
    purchase.refresh_from_db()
    assert (purchase.net, purchase.tax, purchase.tax_percent) == (100_00, 10_00, Decimal(10))


def test_a_tax_that_stripe_added_stays_as_stripe_said(settings: Any, poor: User, pay: Pay) -> None:
    settings.TAX_MODE = "stripe"
    purchase = pay(poor, total=21_78, currency="usd")
    purchase.net, purchase.tax = 20_00, 1_78
    document = issue_document(purchase)
    assert [line["amount"] for line in document.facts["sums"]] == [20_00, 1_78, 21_78]


def test_numbers_begin_anew_each_year_and_for_each_kind(
    seller: Any, poor: User, issue: Issue
) -> None:
    documents = [
        issue(poor),
        issue(poor),
        issue(poor, currency="usd"),
        issue(poor, paid_at=PAID_AT.replace(month=12, day=31)),  # 1 January 2027 in Bangkok
        issue(poor),
    ]
    assert [document.number for document in documents] == [
        "AB2026-000001",
        "AB2026-000002",
        "RE2026-000001",
        "AB2027-000001",
        "AB2026-000003",
    ]


def test_a_plan_says_which_month_was_paid(seller: Any, poor: User, pay: Pay) -> None:
    purchase = pay(poor, kind="plan", package=None, invoice="in_1")
    purchase.name = "Pro"
    period = type("Period", (), {"starts_at": PAID_AT, "ends_at": PAID_AT.replace(month=12)})
    purchase.__dict__["_state"].fields_cache["subscription_period"] = period
    line = issue_document(purchase).facts["lines"][0]["text"]
    assert line["en"].endswith("Pro, 1 December 2026 to 31 December 2026")
    assert line["th"].endswith("1 ธันวาคม 2569 ถึง 31 ธันวาคม 2569")


# Issued anew.


@pytest.mark.usefixtures("december")
def test_a_wrong_document_is_cancelled_and_issued_anew(
    seller: Any, poor: User, issue: Issue
) -> None:
    old = issue(poor)
    seller.SELLER_NAME = "Moved since"
    new = issue_anew(old)
    old.refresh_from_db()
    assert old.cancelled_at is not None
    assert (new.number, new.corrects, new.kind) == ("TI2026-000001", old, "tax_invoice")
    assert new.facts["date"] == old.facts["date"]
    assert new.facts["seller"] == old.facts["seller"]
    assert new.facts["notes"] == [
        {
            "th": "เป็นการยกเลิกและออกใบกำกับภาษีฉบับใหม่แทนฉบับเดิมเลขที่ AB2026-000001",
            "en": "The earlier tax invoice with number AB2026-000001 is cancelled and replaced by"
            " this one.",
        }
    ]
    assert [line["amount"] for line in new.facts["sums"]] == [185_98, 13_02, 199_00]


def issue_anew(document: Document, buyer: Any = COMPANY) -> Document:
    return replace_document(document, buyer=buyer)


def test_a_cancelled_document_keeps_its_facts_and_its_number(poor: User, issue: Issue) -> None:
    old = issue(poor)
    facts = dict(old.facts)
    new = issue_anew(old, PERSON)
    old.refresh_from_db()
    assert (old.facts, old.number, new.number) == (facts, "RE2026-000001", "RE2026-000002")
    assert "RE2026-000001" in new.facts["notes"][0]["en"]


def test_a_cancelled_document_is_not_replaced_again(poor: User, issue: Issue) -> None:
    old = issue(poor)
    issue_anew(old)
    with pytest.raises(NotReplaceable):
        issue_anew(old)
    assert Document.objects.count() == 2


@pytest.mark.usefixtures("december")
def test_a_buyer_changes_a_tax_document_in_its_month_only(
    seller: Any, poor: User, issue: Issue
) -> None:
    document = issue(poor)
    check_at(document, "2026-12-31T16:59:00+00:00", refuses=False)
    check_at(document, "2026-12-31T17:00:00+00:00", refuses=True)
    receipt = issue(poor, currency="usd")
    check_at(receipt, "2027-12-31T17:00:00+00:00", refuses=False)


def check_at(document: Document, when: str, *, refuses: bool) -> None:
    with time_machine.travel(when):
        try:
            refuse_buyer(document)
        except NotReplaceable:
            assert refuses
        else:
            assert not refuses


def test_a_buyer_does_not_use_up_numbers(poor: User, issue: Issue) -> None:
    document = issue(poor)
    for number in range(MOST_REPLACEMENTS):
        document = issue_anew(document, buyer_details.Buyer(f"Ann {number}", "Bangkok"))
    with pytest.raises(NotReplaceable):
        refuse_buyer(document)


def test_deleting_an_account_erases_the_details_and_keeps_the_documents(
    poor: User, issue: Issue
) -> None:
    document = issue(poor, buyer=PERSON)
    account_deletion.close(user=poor, source=Source())
    assert buyer_details.read(poor) is None
    assert Document.objects.get().facts == document.facts
