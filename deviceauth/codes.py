"""Device codes and user codes: creation, format, normal form, digests (RFC 8628 §6.1)."""

import re
import secrets

from django.utils.crypto import salted_hmac

from accounts.toolbox.credentials import checksum

# Without vowels a code forms no word; without digits no character looks like another. A user code
# has 20^8 values, which are 34.6 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8  # letters of a user code
MAX_TYPED = 64  # characters of a typed code that are accepted


def new_device_code() -> str:
    """Return a new device code: 256 random bits, known to the device only."""
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    """Return a new user code for a person to type: eight letters in normal form."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalise(typed: str) -> str | None:
    """Return a typed user code in normal form; None if it cannot be a code.

    It may have any case, dashes and spaces.
    """
    if len(typed) > MAX_TYPED:
        return None
    normal = re.sub(r"[^A-Z0-9]", "", typed.upper())
    return normal if len(normal) == LENGTH else None


def is_possible(normal: str) -> bool:
    """Return whether a code in normal form has only letters that we issue."""
    return set(normal) <= set(ALPHABET)


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
