"""Second factors: what django-allauth asks of this product about them, and how they are named."""

from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.toolbox import encryption, request_source

PURPOSE = "second factors"
MAX_NAME = 100  # characters of a passkey's name
NAMES: dict[str, str | Promise] = {
    Authenticator.Type.TOTP: _("authenticator app"),
    Authenticator.Type.WEBAUTHN: _("passkey"),
    Authenticator.Type.RECOVERY_CODES: _("recovery codes"),
}


class FactorAdapter(DefaultMFAAdapter):
    """Secrets are encrypted; passkeys belong to the host that people type."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises encryption.Unreadable."""
        return encryption.decrypt(encrypted_text, purpose=PURPOSE)

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """The browser that makes a passkey, until its owner names it."""
        return request_source.describe(request_source.user_agent(context.request))[:MAX_NAME]

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """WebAuthn's relying party (§5.4.2): its id is never what a Host header says, but for a developer's machine.

        Browsers refuse an IP address as id, so there passkeys work at http://localhost only.
        """
        host = (
            context.request.get_host().partition(":")[0] if settings.DEBUG else settings.PUBLIC_HOST
        )
        return {"id": host, "name": "SmartSpec"}
