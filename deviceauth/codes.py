"""Device codes and user codes: made, written, read and digested (RFC 8628 §6.1)."""

import re
import secrets

from django.utils.crypto import salted_hmac

from accounts.toolbox.digests import checksum

# No vowels, so no words; no digits, so no look-alikes. 20^8 = 34.6 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
MAX_TYPED = 64


def new_device_code() -> str:
    """256 random bits, for the device only."""
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    """Eight letters in normal form, for a person to type."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalise(typed: str) -> str | None:
    """What was typed in normal form: any case, with or without dashes and spaces. None if it cannot be a code."""
    if len(typed) > MAX_TYPED:
        return None
    normal = re.sub(r"[^A-Z0-9]", "", typed.upper())
    return normal if len(normal) == LENGTH else None


def is_possible(normal: str) -> bool:
    """Whether we could ever have issued this code."""
    return set(normal) <= set(ALPHABET)


def display(normal: str) -> str:
    """As people see it: `XXXX-XXXX`."""
    return f"{normal[:4]}-{normal[4:]}"


def device_code_digest(device_code: str) -> str:
    """What is stored of a device code."""
    return checksum(device_code)


def user_code_digest(normal: str) -> str:
    """What is stored of a user code; keyed, because 34.6 bits could be searched through."""
    return salted_hmac("deviceauth.user_code", normal, algorithm="sha256").hexdigest()
