"""Encryption of stored secrets (Fernet), so that a copy of the database does not reveal them.

The keys are settings.ENCRYPTION_KEYS, newest first, then one derived from SECRET_KEY. The derived
key encrypts only if ENCRYPTION_KEYS is empty. It always decrypts, so ENCRYPTION_KEYS can be set
later and older rows stay readable.
"""

import base64
import hashlib
import hmac
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """A stored text was encrypted with a key that is no longer configured."""


def encrypt(plain: str, *, purpose: str) -> str:
    """Return `plain` as a Fernet token under the newest key.

    Each call returns a different token.
    """
    return _build_fernet(purpose).encrypt(plain.encode()).decode()


def decrypt(stored: str, *, purpose: str) -> str:
    """Return the plain text of a Fernet token. Raises Unreadable if no configured key fits."""
    try:
        return _build_fernet(purpose).decrypt(stored.encode()).decode()
    except InvalidToken:
        raise Unreadable(
            f"The {purpose} were encrypted with a key that ENCRYPTION_KEYS does not list."
        ) from None


def reencrypt(stored: str, *, purpose: str) -> str | None:
    """Return the text encrypted with the newest key, or None if it already is.

    Raises Unreadable.
    """
    with suppress(InvalidToken):
        Fernet(_list_keys(purpose)[0]).decrypt(stored.encode())
        return None
    return encrypt(decrypt(stored, purpose=purpose), purpose=purpose)


def compute_digests(plain: str, *, purpose: str) -> list[str]:
    """Return one HMAC-SHA256 of the text for each key, in hexadecimal, the newest key first.

    Store the first one. A lookup has to accept any of them, because the keys may have been rotated.
    """
    text = f"{purpose}:{plain}".encode()
    return [hmac.new(key, text, hashlib.sha256).hexdigest() for key in _list_keys(purpose)]


def _build_fernet(purpose: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _list_keys(purpose)])


def _list_keys(purpose: str) -> list[bytes]:
    return [*(key.encode() for key in settings.ENCRYPTION_KEYS), _derive_key(purpose)]


def _derive_key(purpose: str) -> bytes:
    digest = hmac.digest(
        settings.SECRET_KEY.encode(), f"smartspec {purpose}".encode(), hashlib.sha256
    )
    return base64.urlsafe_b64encode(digest)
