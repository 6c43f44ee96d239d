"""Device codes and user codes: creation, format, digests (RFC 8628 §6.1).

A user code in normal form is eight capital letters; find_letters of accounts.toolbox.typed.codes
finds it in what a person typed.
"""

import secrets

from django.utils.crypto import salted_hmac

from accounts.toolbox.credentials import checksum
from accounts.toolbox.typed.codes import ALPHABET, LENGTH


def new_device_code() -> str:
    """Return a new device code: 256 random bits, known to the device only."""
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    """Return a new user code for a person to type: eight letters in normal form."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def format_user_code(normal: str) -> str:
    """Return a user code as people see it: `XXXX-XXXX`."""
    return f"{normal[:4]}-{normal[4:]}"


def digest_device_code(device_code: str) -> str:
    """Return the digest of a device code, as stored."""
    return checksum(device_code)


def digest_user_code(normal: str) -> str:
    """Return the keyed digest of a user code, as stored.

    Without a key, all 34.6 bits could be tried against it.
    """
    return salted_hmac("deviceauth.user_code", normal, algorithm="sha256").hexdigest()
