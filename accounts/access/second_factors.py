"""Second factors: the MFA adapter of django-allauth, and the names of the kinds of factor."""

from hashlib import sha256
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.toolbox import encryption, request_source

PURPOSE = "second factors"
MAX_NAME = 100  # characters of a passkey's name
FACTOR_NAMES: dict[str, str | Promise] = {
    Authenticator.Type.TOTP: _("authenticator app"),
    Authenticator.Type.WEBAUTHN: _("passkey"),
    Authenticator.Type.RECOVERY_CODES: _("recovery codes"),
}


class FactorAdapter(DefaultMFAAdapter):
    """Encrypts the secrets of factors, and binds passkeys to our public host."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _("This code is not correct. Check it, then try again."),
        "code_used": _(
            "This code has been used already. Wait until the app shows the next one, then enter "
            "that."
        ),
        "picture_too_old": _(
            "The picture was older than ten minutes. Scan the new picture with the app, then "
            "enter its code."
        ),
        "clock_ahead": _(
            "The clock of the device with the app is fast. Let the device set its clock by "
            "itself, then enter a new code."
        ),
        "clock_behind": _(
            "The clock of the device with the app is slow. Let the device set its clock by "
            "itself, then enter a new code."
        ),
    }

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the plain secret. Raises encryption.Unreadable."""
        return encryption.decrypt(encrypted_text, purpose=PURPOSE)

    def _get_user_identifier(self, user: Any) -> str:
        """Return what an authenticator app and a browser show as the name of the account."""
        return str(user)

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """Name a new passkey after its browser; its owner can rename it."""
        return request_source.describe_user_agent(request_source.read_user_agent(context.request))[
            :MAX_NAME
        ]

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return WebAuthn's relying party (§5.4.2). Its id is PUBLIC_HOST, never the Host header.

        With DEBUG it is the Host header, for a developer's machine. Browsers refuse an IP address
        as id, so passkeys work there at http://localhost only.
        """
        host = (
            context.request.get_host().partition(":")[0] if settings.DEBUG else settings.PUBLIC_HOST
        )
        return {"id": host, "name": "SmartSpec"}


def count_passkeys_of_other_hosts() -> int:
    """Return how many passkeys were made for another host than PUBLIC_HOST.

    A passkey stores the SHA-256 of the host that it was made for (WebAuthn §6.1, rpIdHash).
    """
    ours = sha256(settings.PUBLIC_HOST.encode()).digest()
    passkeys = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN)
    return sum(_read_host_digest(row) not in (ours, None) for row in passkeys.iterator())


def _read_host_digest(passkey: Authenticator) -> bytes | None:
    try:
        return bytes(passkey.wrap().authenticator_data.rp_id_hash)
    except (ValidationError, TypeError, ValueError, LookupError, AttributeError):
        return None
