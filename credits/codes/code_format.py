"""How a redemption code is written and read, and what is stored of it.

A code has 16 characters of Crockford's base 32 (https://www.crockford.com/base32.html). They are 80
bits, in four groups. A code of 80 bits cannot be guessed, so a plain SHA-256 is enough.
"""

import hashlib
import secrets
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16  # characters, without dashes
GROUP = 4  # characters between two dashes
MAX_TYPED = 200  # characters
_LOOK_ALIKES = str.maketrans("OIL", "011")


def make_code() -> str:
    """Return a new random code with its dashes."""
    characters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(characters[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def read_code(typed: str) -> str | None:
    """Return the 16 characters of a code in a typed or pasted text; None if it is not a code.

    Letters of any case and width are accepted, spaces, dashes and invisible characters are dropped,
    and O, I and L are read as 0, 1 and 1.
    """
    if len(typed) > MAX_TYPED:
        return None
    text = unicodedata.normalize("NFKC", typed)
    kept = "".join(each for each in text if unicodedata.category(each)[0] not in "ZCP")
    characters = kept.upper().translate(_LOOK_ALIKES)
    return characters if len(characters) == LENGTH and set(characters) <= set(ALPHABET) else None


def digest_code(characters: str) -> bytes:
    """Return what is stored of a code: the SHA-256 of its 16 characters."""
    return hashlib.sha256(characters.encode()).digest()
