"""Provider keys at rest: encrypted with Fernet under ENCRYPTION_KEYS, newest first."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class KeyUnreadable(Exception):
    """A stored key was encrypted with a key that ENCRYPTION_KEYS no longer lists."""


def encrypt(plain: str) -> str:
    return _fernet().encrypt(plain.encode()).decode() if plain else ""


def decrypt(stored: str) -> str:
    try:
        return _fernet().decrypt(stored.encode()).decode() if stored else ""
    except InvalidToken:
        raise KeyUnreadable("This provider's key cannot be decrypted: enter it again.") from None


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS or [_derived()]])


def _derived() -> bytes:
    """A key of its own purpose, where the installation has set none."""
    digest = hmac.digest(settings.SECRET_KEY.encode(), b"smartspec provider keys", hashlib.sha256)
    return base64.urlsafe_b64encode(digest)
