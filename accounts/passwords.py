"""One form of a password, however a keyboard composes its characters.

docs/decisions/0040-passwords-are-normalised.md has the reasons.
"""

import re
import unicodedata

# To normalise many combining marks in a row takes seconds (see accounts/email_addresses.py).
MAX_TYPED = 1000
# Nikhahit, a tone mark and sara aa: how some keyboards compose a ำ with a tone mark. NFKC leaves
# their order alone, because nikhahit has the combining class 0.
_TONE_AFTER_NIKHAHIT = re.compile("\u0e4d([\u0e48-\u0e4b])\u0e32")


def normalise_password(raw: str) -> str:
    """Return the password in NFKC (NIST SP 800-63B §3.1.1.2), with one order of a Thai ำ.

    One of more than MAX_TYPED characters stays as it was typed.
    """
    if raw.isascii() or len(raw) > MAX_TYPED:
        return raw
    return _TONE_AFTER_NIKHAHIT.sub("\\1\u0e4d\u0e32", unicodedata.normalize("NFKC", raw))


def list_spellings(raw: str) -> list[str]:
    """Return the forms that a stored hash may be of: the normal form, and what was typed.

    Hashes from before passwords were normalised are of what was typed.
    """
    return list(dict.fromkeys([normalise_password(raw), raw]))
