"""What is stored so that the database alone does not tell it, under ENCRYPTION_KEYS, newest first.

The key derived from SECRET_KEY encrypts where the installation has set none, and is tried last where it has:
so ENCRYPTION_KEYS can be set later, and what was stored before stays readable.
"""

import base64
import hashlib
import hmac
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """A stored text was encrypted with a key that is not there any more."""


def encrypt(plain: str, *, purpose: str) -> str:
    """A Fernet token; each call gives another one."""
    return _fernet(purpose).encrypt(plain.encode()).decode()


def decrypt(stored: str, *, purpose: str) -> str:
    """Raises Unreadable."""
    try:
        return _fernet(purpose).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise Unreadable(
            f"The {purpose} were encrypted with a key that ENCRYPTION_KEYS does not list."
        ) from None


def rotated(stored: str, *, purpose: str) -> str | None:
    """The same text under the newest key; None if it is already. Raises Unreadable."""
    with suppress(InvalidToken):
        Fernet(_keys(purpose)[0]).decrypt(stored.encode())
        return None
    return encrypt(decrypt(stored, purpose=purpose), purpose=purpose)


def digests(plain: str, *, purpose: str) -> list[str]:
    """What recognises a text and does not tell it (HMAC-SHA256, hexadecimal): store the first, look for any."""
    text = f"{purpose}:{plain}".encode()
    return [hmac.new(key, text, hashlib.sha256).hexdigest() for key in _keys(purpose)]


def _fernet(purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _keys(purpose)])


def _keys(purpose: str) -> list[bytes]:
    return [*(key.encode() for key in settings.ENCRYPTION_KEYS), _derived(purpose)]


def _derived(purpose: str) -> bytes:
    digest = hmac.digest(
        settings.SECRET_KEY.encode(), f"smartspec {purpose}".encode(), hashlib.sha256
    )
    return base64.urlsafe_b64encode(digest)
