"""The page of codes: a link fills the field, a form redeems, refusals stand at the field."""

import pytest

from credits import ledger
from credits.codes.code_format import make_code
from credits.exceptions import UnknownAccount
from credits.models import RedemptionCode

pytestmark = pytest.mark.django_db
PAGE = "/account/codes"


def test_a_link_fills_the_field_and_redeems_nothing(client, ann, make_codes):
    client.force_login(ann)
    code = make_codes()[1][0]
    assert f'value="{code}"' in client.get(f"{PAGE}?code={code}").content.decode()
    hostile = client.get(PAGE, {"code": "\x00<script>'\"" + "x" * 9000}).content.decode()
    assert "<script>'" not in hostile
    assert ledger.balance(ann).credits == 100


def test_a_form_redeems_and_a_double_click_says_so(client, ann, make_codes):
    client.force_login(ann)
    code = make_codes()[1][0]
    assert client.post(PAGE, {"code": code})["Location"] == PAGE
    page = client.get(PAGE).content.decode()
    assert "100 credits were added" in page
    assert f"····{code[-4:]}" in page
    assert (
        "You have already used this code"
        in client.post(PAGE, {"code": code}, follow=True).content.decode()
    )
    assert ledger.balance(ann).credits == 200


def test_a_refusal_stands_at_the_field_and_too_many_say_when(client, ann):
    client.force_login(ann)
    assert "no such code" in client.post(PAGE, {"code": make_code()}).content.decode()
    for _ in range(9):
        client.post(PAGE, {"code": "x"})
    refused = client.post(PAGE, {"code": make_code()})
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)
    assert client.post(PAGE, {"code": ""}).status_code == 200


def test_a_refusal_of_the_ledger_stands_at_the_field(client, ann, make_codes, monkeypatch):
    def refuse(**_what):
        raise UnknownAccount("This account is closed.")

    client.force_login(ann)
    code = make_codes()[1][0]
    monkeypatch.setattr(ledger, "add", refuse)
    answer = client.post(PAGE, {"code": code})
    assert (answer.status_code, answer.context["form"].errors["code"]) == (
        200,
        ["This account is closed."],
    )
    assert not RedemptionCode.objects.exclude(user=None).exists()


def test_a_visitor_logs_in_first_and_keeps_the_code(client):
    where = client.get(f"{PAGE}?code=ABCD").headers["Location"]
    assert "code%3DABCD" in where
    assert client.put(PAGE).status_code == 405
