"""A password is the same however a keyboard composes its characters."""

import unicodedata

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.models import User
from accounts.passwords import normalise_password
from tests.accounts.conftest import log_in

pytestmark = pytest.mark.django_db
THAI, THAI_TWO, THAI_OTHER_ORDER = (
    f"ดื่ม{water}สะอาด99" for water in ("น้ำ", "น้\u0e4d\u0e32", "น\u0e4d้\u0e32")
)
UMLAUT = "schönes Wetter"


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        (UMLAUT, unicodedata.normalize("NFD", UMLAUT)),
        (unicodedata.normalize("NFD", UMLAUT), UMLAUT),
        (THAI, THAI_TWO),
        (THAI_TWO, THAI),
        (THAI, THAI_OTHER_ORDER),
        ("correct horse", "ｃｏｒｒｅｃｔ ｈｏｒｓｅ"),
    ],
)
def test_a_password_may_be_composed_otherwise(client, make_user, stored, typed):
    user = make_user()
    user.set_password(stored)
    user.save()
    assert log_in(client, password=typed)["Location"] == "/account"
    assert log_in(Client(), password=f"{typed}x").status_code == 200


@pytest.mark.parametrize("typed", [THAI, unicodedata.normalize("NFD", UMLAUT), "ＡＢＣ correct"])
def test_a_hash_from_before_still_works(client, make_user, typed):
    user = make_user()
    User.objects.filter(pk=user.pk).update(password=make_password(typed))
    assert log_in(client, password=typed)["Location"] == "/account"


@pytest.mark.parametrize("password", ["plain and long", THAI, "ＡＢＣ correct"])
def test_an_account_that_is_not_there_takes_as_many_hashes(make_user, monkeypatch, rf, password):
    make_user()
    numbers = []
    for email in ("ann@example.com", "nobody@example.com"):
        hashed: list[str] = []
        for place in ("django.contrib.auth.hashers.MD5PasswordHasher.encode",):
            monkeypatch.setattr(place, lambda hasher, raw, *salt, hashed=hashed: count(hashed, raw))
        assert authenticate(rf.get("/"), email=email, password=password) is None
        numbers.append(len(hashed))
    assert numbers[0] == numbers[1] > 0


def count(hashed, raw):
    hashed.append(raw)
    return "md5$x$y"


def test_a_common_password_in_full_width_is_common(client):
    sent = {"email": "ann@example.com", "password1": "ｐａｓｓｗｏｒｄ１"}
    assert "Many people use" in client.post("/accounts/signup/", sent).content.decode()


def test_ascii_is_left_alone():
    assert normalise_password("a b\tc") == "a b\tc"
