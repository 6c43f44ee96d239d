"""The pages of documents: whose they are, how they print, and the form of the buyer."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits.documents import buyer_details
from credits.documents.credit_notes import settle_note
from credits.documents.issue import replace_document
from credits.models import Customer, Document
from tests.credits.documents.conftest import COMPANY, PERSON
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
Issue = Callable[..., Document]
DETAILS = "/account/credits/invoice-details"
FORM = {
    "kind": "company",
    "name": "  บริษัท  ผู้ซื้อ จำกัด ",
    "address": "99/1 ถนนสุขุมวิท\r\n\r\n กรุงเทพมหานคร  10110 ",
    "tax_number": "๐-๑๐๗๕-๓๖๐๐๐-๓๑-๕",
    "branch": "",
}


def address(document: Document) -> str:
    return f"/account/credits/documents/{document.public_id}"


@pytest.fixture
def reader(client: Client, poor: User) -> Client:
    client.force_login(poor)
    return client


def test_a_reader_sees_an_own_document(
    seller: Any, poor: User, issue: Issue, reader: Client
) -> None:
    document = issue(poor, buyer=COMPANY)
    page = reader.get(address(document))
    text = extract_text(page)
    assert document.number in text
    assert "ต้นฉบับ / Original" in text
    assert "สำเนา / Copy" in extract_text(reader.get(f"{address(document)}?copy"))
    assert "style=" not in page.content.decode()


@pytest.mark.parametrize("path", ["", "/details"])
def test_somebody_elses_document_is_not_found(
    poor: User, issue: Issue, client: Client, make_user: Callable[..., User], path: str
) -> None:
    document = issue(poor)
    operator = make_user("operator@example.com", is_staff=True, is_superuser=True)
    for other in (make_user("other@example.com"), operator):
        client.force_login(other)
        assert client.get(address(document) + path).status_code == 404
        assert client.post(address(document) + "/details", FORM).status_code == 404


def test_a_stranger_has_to_log_in(poor: User, issue: Issue, client: Client) -> None:
    for path in (address(issue(poor)), DETAILS):
        response = client.get(path)
        assert (response.status_code, response["Location"][:16]) == (302, "/accounts/login/")


@pytest.mark.parametrize("public_id", ["0", "x" * 500, "%0a", "..%2f", "'", "١٢٣"])
def test_no_address_breaks_the_page(reader: Client, public_id: str) -> None:
    page = reader.get(f"/account/credits/documents/{public_id}", follow=True)
    assert page.status_code == 404


def test_a_document_is_only_read(poor: User, issue: Issue, reader: Client) -> None:
    document = issue(poor)
    assert reader.post(address(document)).status_code == 405
    assert reader.delete(address(document)).status_code == 405
    assert reader.put(DETAILS).status_code == 405


def test_a_cancelled_document_says_so_and_leads_to_its_successor(
    poor: User, issue: Issue, reader: Client
) -> None:
    old = issue(poor)
    new = replace_document(old, buyer=PERSON)
    text = extract_text(reader.get(address(old)))
    assert "Cancelled" in text
    assert "Replaced by a document with other details of the customer." in text
    assert new.number in text
    assert f"{address(old)}/details" not in reader.get(address(old)).content.decode()


def test_details_are_cleaned_and_stored(seller: Any, poor: User, reader: Client) -> None:
    response = reader.post(DETAILS, FORM)
    assert (response.status_code, response["Location"]) == (302, DETAILS)
    assert buyer_details.read(poor) == buyer_details.Buyer(
        name="บริษัท ผู้ซื้อ จำกัด",
        address="99/1 ถนนสุขุมวิท\nกรุงเทพมหานคร 10110",
        tax_number="0107536000315",
        branch="00000",
    )
    page = reader.get(DETAILS).content.decode()
    assert "0107536000315" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "robot"),
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", "Ann\u202eExample"),
        ("name", "a\x00b"),
        ("address", ""),
        ("address", "\r\n\r\n"),
        ("address", "x" * 501),
        ("address", "\n".join("abcdefg")),
        ("address", "Bangkok\u2066"),
        ("tax_number", ""),
        ("tax_number", "0107536000316"),
        ("tax_number", "010753600031"),
        ("tax_number", "0107536000315 and more"),
        ("branch", "000001"),
        ("branch", "head"),
        ("branch", "-1-1-x"),
    ],
)
def test_details_that_cannot_be_printed_are_refused(
    seller: Any, poor: User, reader: Client, field: str, value: str
) -> None:
    response = reader.post(DETAILS, {**FORM, field: value})
    assert response.status_code == 400
    assert "fault" in response.content.decode() or field == "kind"
    assert not Customer.objects.filter(user=poor).exists()


def test_a_person_needs_no_number_and_has_no_branch(
    seller: Any, poor: User, reader: Client
) -> None:
    person = {**FORM, "kind": "person", "tax_number": "", "branch": "00007"}
    assert reader.post(DETAILS, person).status_code == 302
    buyer = buyer_details.read(poor)
    assert buyer is not None
    assert (buyer.tax_number, buyer.branch) == ("", "")


def test_where_no_tax_invoices_are_issued_any_number_is_taken(poor: User, reader: Client) -> None:
    assert reader.post(DETAILS, {**FORM, "tax_number": "de 123.456-789"}).status_code == 302
    buyer = buyer_details.read(poor)
    assert buyer is not None
    assert buyer.tax_number == "DE123456789"
    assert reader.post(DETAILS, {**FORM, "tax_number": "9" * 21}).status_code == 400


@pytest.mark.usefixtures("december")
def test_a_buyer_gets_a_tax_invoice_instead_of_an_abbreviated_one(
    seller: Any, poor: User, issue: Issue, reader: Client
) -> None:
    old = issue(poor)
    path = f"{address(old)}/details"
    assert old.number in extract_text(reader.get(path))
    response = reader.post(path, FORM)
    new = Document.objects.get(cancelled_at=None)
    assert response["Location"] == address(new)
    assert (new.kind, new.facts["buyer"]["branch"]) == ("tax_invoice", "00000")
    assert buyer_details.read(poor) is not None
    # The same form once more: a double click, or the button "back".
    assert reader.post(path, FORM)["Location"] == address(old)
    assert Document.objects.count() == 2


def test_the_same_details_replace_nothing(poor: User, issue: Issue, reader: Client) -> None:
    document = issue(poor, buyer=PERSON)
    form = {"kind": "person", "name": PERSON.name, "address": PERSON.address}
    response = reader.post(f"{address(document)}/details", form)
    assert response["Location"] == address(document)
    assert Document.objects.count() == 1


def test_after_a_refund_the_form_is_not_offered(
    poor: User, issue: Issue, reader: Client, reverse: Any
) -> None:
    document = issue(poor)
    note = settle_note(reverse(document, 1_00))
    assert note is not None
    for each in (document, note):
        response = reader.post(f"{address(each)}/details", FORM)
        assert response["Location"] == address(each)
    assert Document.objects.filter(cancelled_at=None).count() == 2
