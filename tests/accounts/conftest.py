"""Shared helpers of the account tests: mails, codes of an authenticator app, log-in."""

import re
import struct
import time
from base64 import b32decode
from collections.abc import Callable
from hashlib import sha1
from hmac import digest
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts.models import AuthEvent, User

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def no_limit_is_used_up(db: Any) -> None:
    cache.clear()


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the outbox.

    `on_commit` runs at once, because the transaction of a test never commits.
    """
    for place in ("django.db.transaction", "accounts.login.adapter"):
        monkeypatch.setattr(f"{place}.on_commit", lambda act: act())
    return mail.outbox


def find_code(message: Any) -> str:
    """Return the code that stands on a line of its own in a mail."""
    match = re.search(r"^([B-Z]{4}-[B-Z]{4})$", str(message.body), re.MULTILINE)
    assert match, message.body
    return match[1]


def totp(secret: str, moment: float | None = None) -> str:
    """Return the code that an authenticator app shows (RFC 6238)."""
    counter = int(moment or time.time()) // 30
    mac = digest(b32decode(secret), struct.pack(">Q", counter), sha1)
    number = struct.unpack_from(">I", mac, mac[-1] & 15)[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


@pytest.fixture
def protect() -> Callable[[User], tuple[str, list[str]]]:
    """A function that gives a user an app; it returns the secret and the recovery codes."""

    def give(user: User) -> tuple[str, list[str]]:
        secret = generate_totp_secret()
        TOTP.activate(user, secret)
        return secret, RecoveryCodes.activate(user).get_unused_codes()

    return give


def log_in(
    client: Client, email: str = "ann@example.com", password: str = PASSWORD, **extra: Any
) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password}, **extra)


def reauthenticate(client: Client, password: str = PASSWORD) -> None:
    """Enter the password again, as important pages require."""
    assert client.post("/accounts/reauthenticate/", {"password": password}).status_code == 302


def list_event_kinds(user: User) -> list[str]:
    """Return the kinds of the user's access events, oldest first."""
    return list(AuthEvent.objects.filter(user=user).order_by("id").values_list("kind", flat=True))


def list_factors(user: User) -> set[str]:
    return set(Authenticator.objects.filter(user=user).values_list("type", flat=True))


def change_in_admin(client: Client, user: User, **sent: Any) -> Any:
    """Open the user's page in the admin and save it.

    Fields that `sent` does not name are emptied.
    """
    path = f"/admin/accounts/user/{user.pk}/edit/"
    seen = client.get(path).context["adminform"].form.page_version
    formset = {f"emailaddress_set-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return client.post(
        path, {"email": user.email, "plan": user.plan_id, "page_version": seen, **formset, **sent}
    )


def request_reset_link(client: Client, email: str, **extra: Any) -> str:
    """Request a mail for a new password; return the path of its link."""
    client.post("/accounts/password/reset/", {"email": email}, **extra)
    match = re.search(
        r"http://127\.0\.0\.1:\d+(\S+/password/reset/key/\S+)", str(mail.outbox[-1].body)
    )
    assert match
    return match[1]
