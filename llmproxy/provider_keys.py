"""Encrypts the keys of providers for the database, under ENCRYPTION_KEYS."""

from accounts.toolbox import encryption

PURPOSE = "provider keys"


class KeyUnreadable(Exception):
    """A stored key was encrypted with a key that ENCRYPTION_KEYS no longer lists."""


def encrypt(plain: str) -> str:
    """The stored form of a key; empty for an empty key."""
    return encryption.encrypt(plain, purpose=PURPOSE) if plain else ""


def decrypt(stored: str) -> str:
    """The key in plain text; empty for an empty one. Raises KeyUnreadable."""
    try:
        return encryption.decrypt(stored, purpose=PURPOSE) if stored else ""
    except encryption.Unreadable:
        raise KeyUnreadable("This provider's key cannot be decrypted: enter it again.") from None
