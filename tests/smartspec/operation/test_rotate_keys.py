"""`manage.py rotate_keys` encrypts every secret anew, once, and keeps concurrent writes."""

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command, load_command_class
from django.test import Client
from django.utils import timezone

from accounts import mails
from accounts.models import OutgoingMail, User
from accounts.toolbox import encryption, key_rotation
from llmproxy.admission import idempotency
from llmproxy.models import IdempotencyKey, Provider
from smartspec.management.commands.rotate_keys import SECRETS, turn_factor

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def stored(settings: Any, make_user: Callable[..., User]) -> User:
    """A user with one secret of each kind under the old key; the new key is first now."""
    settings.ENCRYPTION_KEYS = [OLD]
    ann = make_user()
    provider = Provider(name="Cloud", slug="cloud", base_url="https://models.example/v1")
    provider.set_key("sk-cloud")
    provider.save()
    Provider.objects.create(
        name="Local", slug="local", base_url="http://models.example/v1"
    )  # A provider without a key.
    TOTP.activate(ann, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(ann)
    OutgoingMail.objects.create(
        to="a@example.com", body=encryption.encrypt("a link", purpose=mails.PURPOSE)
    )
    IdempotencyKey.objects.create(
        key="k", digest="d", generation_id="g", answer=idempotency.sealed({"a": 1})
    )
    Client().force_login(ann)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    return ann


def rotated() -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue()


def readable(user: User) -> bool:
    """True if each secret can be decrypted to its value."""
    codes = RecoveryCodes(
        Authenticator.objects.get(user=user, type="recovery_codes")
    ).generate_codes()
    return (
        Provider.objects.get(slug="cloud").key == "sk-cloud"
        and encryption.decrypt(
            Authenticator.objects.get(type="totp").data["secret"], purpose="second factors"
        )
        == "JBSWY3DPEHPK3PXP"
        and len(codes) == 10
        and mails.decrypt_body(OutgoingMail.objects.get()) == "a link"
        and idempotency.opened(IdempotencyKey.objects.get().answer) == {"a": 1}
        and encryption.decrypt(Session.objects.get().session_data, purpose="sessions") != ""
    )


def test_everything_is_readable_with_the_new_key_alone(stored: User, settings: Any) -> None:
    codes = RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).generate_codes()
    output = rotated()
    settings.ENCRYPTION_KEYS, settings.SECRET_KEY = [NEW], "another one"
    assert readable(stored)
    assert RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).generate_codes() == codes
    assert "provider keys: 1 encrypted anew, 0 under" in output
    assert "second factors: 2 encrypted anew" in output


def test_what_was_under_the_key_of_the_secret_key_moves_too(stored: User, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = []
    row = Provider.objects.get(slug="cloud")
    row.set_key("sk-before")
    row.save()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    rotated()
    settings.SECRET_KEY = "another one"
    assert Provider.objects.get(slug="cloud").key == "sk-before"


def test_a_second_run_changes_nothing(stored: User) -> None:
    rotated()
    before = Provider.objects.get(slug="cloud").encrypted_key
    assert "0 encrypted anew, 1 under" in rotated()
    assert Provider.objects.get(slug="cloud").encrypted_key == before


def test_a_site_that_still_writes_with_the_old_key_shows_in_the_second_run(
    stored: User, settings: Any
) -> None:
    assert "sessions: 1 encrypted anew" in rotated()
    settings.ENCRYPTION_KEYS = [OLD, NEW]  # As in a process that was not restarted.
    Client().force_login(stored)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    output = rotated()
    assert "sessions: 1 encrypted anew, 1 under" in output
    assert "cannot see which keys the running site has" in output
    assert "if it encrypts anything anew, a process still writes with an older key" in output


def test_its_help_says_what_comes_first() -> None:
    output = " ".join(
        load_command_class("smartspec", "rotate_keys")
        .create_parser("", "rotate_keys")
        .format_help()
        .split()
    )
    assert "restart every process of the site with that list before you run this" in output


def test_rows_that_no_key_reads_are_named_and_left(stored: User, settings: Any) -> None:
    row = Provider.objects.create(name="Lost", slug="lost", encrypted_key="rubbish")
    errors = StringIO()
    with pytest.raises(CommandError, match="1 could not be read"):
        call_command("rotate_keys", stdout=StringIO(), stderr=errors)
    assert f"llm_providers: row {row.pk} cannot be read." in errors.getvalue()
    assert Provider.objects.get(slug="lost").encrypted_key == "rubbish"
    settings.ENCRYPTION_KEYS = [NEW]
    assert readable(stored)  # The other rows were encrypted anew.


def test_what_the_site_writes_meanwhile_stays(stored: User, monkeypatch: Any) -> None:
    real = encryption.reencrypt

    def slow(text: str, *, purpose: str) -> str | None:
        turned = real(text, purpose=purpose)
        if purpose == "provider keys":
            row = Provider.objects.get(slug="cloud")
            row.set_key("sk-entered-meanwhile")
            row.save()
        return turned

    monkeypatch.setattr(encryption, "reencrypt", slow)
    assert "provider keys: 0 encrypted anew" in rotated()
    assert Provider.objects.get(slug="cloud").key == "sk-entered-meanwhile"


def test_unreadable_expired_sessions_are_ignored(stored: User) -> None:
    Session.objects.update(session_data="rubbish", expire_date=timezone.now() - timedelta(days=1))
    assert "sessions: 0 encrypted anew" in rotated()


def test_many_rows_go_in_parts(stored: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 2)
    for number in range(5):
        OutgoingMail.objects.create(
            to="a@example.com", body=Fernet(OLD).encrypt(str(number).encode()).decode()
        )
    assert "mails: 6 encrypted anew" in rotated()


def test_codes_from_before_seeds_are_turned_one_by_one() -> None:
    turned = turn_factor(
        {"migrated_codes": ["a", "b"], "used_mask": 1}, lambda code: "B" if code == "b" else None
    )
    assert turned == {"migrated_codes": ["a", "B"], "used_mask": 1}


def test_no_purpose_of_encryption_is_forgotten() -> None:
    """Every PURPOSE of a module is in SECRETS, except two.

    The digests of addresses cannot be made anew, and a secret that is shown once lives ten minutes.
    """
    sources = [
        path
        for app in ("accounts", "credits", "deviceauth", "llmproxy")
        for path in (ROOT / app).rglob("*.py")
    ]
    purposes = {
        found
        for path in sources
        for found in re.findall(r'^PURPOSE = "(.+)"', path.read_text(), re.MULTILINE)
    }
    assert purposes - {"addresses", "secrets shown once"} == {
        secrets.purpose for secrets in SECRETS
    }
    callers = [path for path in sources if "encryption.encrypt(" in path.read_text()]
    assert all("PURPOSE = " in path.read_text() for path in callers)
