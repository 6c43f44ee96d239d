"""Codes from a mail or an app, as people paste and type them."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils.translation import override

from accounts.models import AuthEvent
from accounts.toolbox.typed.codes import find_digits
from tests.accounts.conftest import PASSWORD, find_code, log_in, reauthenticate

CODE, SECOND = "/accounts/confirm-email/", "/accounts/2fa/authenticate/"
THAI_DIGITS = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")
THAI_KEYS = str.maketrans("1234567890", "ๅ/-ภถุึคตจ")


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("123\u00a0456", "123456"),
        ("Your code is 123456.", "123456"),
        ("SmartSpec: 123 456 (30 s)", "123456"),
        ("๑๒๓๔๕๖", "123456"),
        ("รหัส ๑๒๓ ๔๕๖", "123456"),
        ("١٢٣٤٥٦", "123456"),
        ("１２３４５６", "123456"),
        ("ๅ/-ภถุ", "123456"),
        ("\u200e123456\u200f", "123456"),
        ("1234 5678", "12345678"),
        ("12345", None),
        ("1234567", None),
        ("123456 654321", None),
        ("123456 or 654321", None),
        ("abcdef", None),
        ("²³¹²³¹½", None),
        ("", None),
    ],
)
def test_the_digits_are_found_in_what_was_typed(typed: str, code: str | None) -> None:
    assert find_digits(typed, lengths=(6, 8)) == code


@pytest.mark.django_db
@pytest.mark.parametrize("around", ["Code: {}", "{}\r\n", "ｘ {} ｘ", "\u200b{}\u200b", "“{}”"])
def test_the_code_of_a_mail_is_found_at_sign_up(client: Client, around: str) -> None:
    client.post("/accounts/signup/", {"email": "ann@example.com", "password1": PASSWORD})
    typed = around.format(find_code(mail.outbox[-1]).lower().replace("-", "–"))
    assert client.post(CODE, {"code": typed})["Location"] == "/account"


@pytest.mark.django_db
def test_what_cannot_be_a_code_of_a_mail_costs_no_try(client: Client) -> None:
    client.post("/accounts/signup/", {"email": "ann@example.com", "password1": PASSWORD})
    for _ in range(7):
        answer = client.post(CODE, {"code": "Привет"})
        assert "switch the keyboard to English" in answer.content.decode()
    assert client.post(CODE, {"code": find_code(mail.outbox[-1])})["Location"] == "/account"


@pytest.mark.django_db
def test_the_code_of_a_mail_is_found_at_a_change_of_address(client: Client, make_user: Any) -> None:
    client.force_login(make_user())
    reauthenticate(client)
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    typed = f"SmartSpec\r\n\r\n{find_code(mail.outbox[-1])}\r\n"
    assert client.post(CODE, {"code": typed})["Location"] == "/account/security"


@pytest.mark.django_db
@pytest.mark.parametrize("way", [THAI_DIGITS, THAI_KEYS, {}])
def test_a_recovery_code_is_found_too(
    client: Client, make_user: Any, protect: Any, way: dict[int, int]
) -> None:
    _secret, codes = protect(make_user())
    log_in(client)
    typed = f" {codes[0][:4]} {codes[0][4:]} ".translate(way)
    assert client.post(SECOND, {"code": typed})["Location"] == "/account"


@pytest.mark.django_db
def test_what_cannot_be_a_code_of_an_app_costs_no_try(
    client: Client, make_user: Any, protect: Any
) -> None:
    user = make_user()
    _secret, codes = protect(user)
    log_in(client)
    for _ in range(7):
        assert "six digits" in client.post(SECOND, {"code": "12 34"}).content.decode()
    with override("th"):
        assert client.post(SECOND, {"code": codes[0]}).status_code == 302
    assert not AuthEvent.objects.filter(kind="log_in_failed").exists()
