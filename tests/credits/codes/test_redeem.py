"""Redemption codes: each gives its credits once, whatever people type and do at once."""

from datetime import date

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.toolbox.request_source import Source
from credits import balances, ledger
from credits.codes import batches, redeem
from credits.codes.code_format import digest_code, make_code, read_code
from credits.codes.refusals import (
    CodeRefusal,
    ExpiredCode,
    OneOfBatch,
    OwnCode,
    RevokedCode,
    TooManyCodes,
    UnknownCode,
    UsedCode,
)
from credits.models import CodeBatch, Grant, RedemptionCode, Transaction
from credits.proof import audit
from tests.concurrently import concurrently

WHERE = Source("203.0.113.7", "pytest")


def enter(user, typed):
    return redeem.redeem(user=user, typed=typed, source=WHERE)


@pytest.mark.parametrize(
    "typed",
    [
        "abcd-efgh-jkmn-pqrs",
        "  ABCD EFGH JKMN PQRS\n",
        "ABCDEFGHJKMNPQRS",
        "ABCD–EFGH—JKMN‑PQRS",
        "ＡＢＣＤ-ＥＦＧＨ-ＪＫＭＮ-ＰＱＲＳ",
        "\u200bABCD\u00adEFGH\ufeffJKMN.PQRS",
    ],
)
def test_a_code_is_read_however_it_was_pasted(typed):
    assert read_code(typed) == "ABCDEFGHJKMNPQRS"


def test_letters_that_look_like_digits_are_read_as_digits():
    assert read_code("oOiI-lL00-0000-0000") == "0011110000000000"
    assert read_code("U" * 16) is None
    assert read_code("A" * 15) is None
    assert read_code("A" * 10_000) is None
    assert read_code("ก" * 16) is None


@pytest.mark.django_db
def test_a_code_gives_a_bonus_that_expires_and_is_not_refundable(ann, make_codes):
    batch, codes = make_codes(credit_days=30)
    redeemed = enter(ann, codes[0].lower())
    row = Transaction.objects.latest("seq")
    assert (redeemed.credits, redeemed.is_new, ledger.balance(ann).credits) == (100, True, 200)
    assert (row.type, row.idempotency_key) == ("bonus", f"code:{redeemed.code.pk}")
    assert balances.refundable(row) == 0
    grant = Grant.objects.get(transaction=row)
    assert grant.expires_at
    assert not grant.is_paid
    assert (grant.expires_at - timezone.now()).days == 29
    assert codes[0] not in str(list(RedemptionCode.objects.values()))
    assert batch.codes.filter(digest=digest_code(codes[0].replace("-", ""))).exists()
    assert audit.run().findings == []


@pytest.mark.django_db
def test_the_same_person_has_it_already_and_another_one_is_told(ann, poor, make_codes):
    codes = make_codes()[1]
    enter(ann, codes[0])
    assert enter(ann, codes[0]).is_new is False
    with pytest.raises(UsedCode):
        enter(poor, codes[0])
    with pytest.raises(OneOfBatch):
        enter(ann, codes[1])
    assert (ledger.balance(ann).credits, ledger.balance(poor).credits) == (200, 0)
    assert enter(poor, codes[1]).is_new


@pytest.mark.django_db
def test_a_batch_may_allow_several_codes_to_one_person(ann, make_codes):
    codes = make_codes(is_once_per_user=False)[1]
    assert [enter(ann, code).credits for code in codes] == [100, 100, 100]


@pytest.mark.django_db
def test_expired_revoked_and_unknown_codes_are_said_plainly(ann, make_codes):
    batch, codes = make_codes()
    CodeBatch.objects.update(last_day=date(2020, 1, 1))
    with pytest.raises(ExpiredCode):
        enter(ann, codes[0])
    assert batches.revoke(batch, actor=batch.maker, reason="Leaked") == 3
    CodeBatch.objects.update(last_day=date(2090, 1, 1))
    with pytest.raises(RevokedCode):
        enter(ann, codes[0])
    with pytest.raises(UnknownCode):
        enter(ann, make_code())
    assert ledger.balance(ann).credits == 100


@pytest.mark.django_db
def test_only_unknown_codes_count_and_ten_of_them_are_enough(ann, poor, make_codes):
    codes = make_codes(is_once_per_user=False)[1]
    enter(ann, codes[0])
    for number in range(10):
        enter(ann, codes[0])  # a repetition costs nothing
        with pytest.raises(UnknownCode):
            enter(ann, f"{number}" * 16)
    with pytest.raises(TooManyCodes) as refused:
        enter(ann, codes[1])
    assert 0 < refused.value.retry_after <= 360
    assert enter(poor, codes[1]).is_new  # the address has 30


@pytest.mark.django_db
def test_who_may_not_approve_gets_nothing_from_a_code_of_their_own(ann, make_codes):
    batch, codes = make_codes()
    User.objects.update(is_superuser=False)
    with pytest.raises(OwnCode):
        enter(User.objects.get(pk=batch.maker_id), codes[0])
    assert RedemptionCode.objects.filter(user=None).count() == 3
    assert enter(ann, codes[0]).is_new


@pytest.mark.django_db
def test_a_refused_grant_gives_the_code_back(ann, make_codes, monkeypatch):
    codes = make_codes()[1]

    def refuse(**request):
        raise RuntimeError("the ledger is away")

    monkeypatch.setattr(ledger, "add", refuse)
    with pytest.raises(RuntimeError):
        enter(ann, codes[0])
    assert RedemptionCode.objects.filter(user=None).count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_fifty_people_at_once_one_gets_a_code(make_user, make_codes):
    codes = make_codes(size=1)[1]
    User.objects.bulk_create(User(email=f"p{number}@example.com") for number in range(50))
    people = list(User.objects.filter(email__startswith="p"))

    def try_it(number):
        source = Source(f"198.51.{number}.1", "pytest")
        try:
            return redeem.redeem(user=people[number], typed=codes[0], source=source).is_new
        except UsedCode:
            return False

    assert concurrently(try_it, threads=50).count(True) == 1
    assert Transaction.objects.count() == 1
    assert audit.run().findings == []


@pytest.mark.django_db(transaction=True)
def test_one_person_at_once_in_many_tabs_uses_one_code_of_a_batch(make_user, make_codes):
    codes, user = make_codes(size=8)[1], make_user()

    def try_it(number):
        try:
            return enter(user, codes[number % 8]).is_new
        except CodeRefusal as refusal:
            return type(refusal)

    outcomes = concurrently(try_it, threads=8)
    assert (outcomes.count(True), outcomes.count(OneOfBatch)) == (1, 7)
    assert ledger.balance(user).credits == 100


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("breaking", "what"),
    [
        ("UPDATE code_batches SET credits = 99", "gave 100 of 99 credits"),
        (
            "UPDATE redemption_codes SET user_id = NULL, transaction_id = NULL, redeemed_at = NULL",
            "no used code names it",
        ),
        ("UPDATE redemption_codes SET transaction_id = NULL", "transaction none gave 0"),
    ],
)
def test_the_audit_finds_a_code_and_credits_that_differ(ann, make_codes, breaking, what):
    enter(ann, make_codes()[1][0])
    with connection.cursor() as cursor:
        cursor.execute(breaking)
    found = [str(finding) for finding in audit.run().findings if finding.invariant == 19]
    assert what in " ".join(found)
