"""What was typed or pasted into the box.

A whole API key, a token, or a redemption code is worth money. It is looked up by its digest only:
no statement contains it, and no address.
"""

import re
from dataclasses import dataclass

from accounts.toolbox.credentials import KEY_PREFIX
from accounts.toolbox.keyset import MAX_KEY
from credits.codes.code_format import read_code

MAX_TYPED = 10_000  # characters in which a key is looked for
MAX_TERM = 256  # characters: an email address has 254 at most, a trace ID 128
TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?:sk-)?[A-Za-z0-9_-]{43}(?![A-Za-z0-9_@-])")
SECRET = re.compile(r"(?<![A-Za-z0-9])(?:sk[-_]|rk_|whsec_)")  # our keys, and those of Stripe
ENDING = re.compile(r"(?:…|\.{2,}|\*{2,}|·{2,}|•{2,})([A-Za-z0-9_-]{4})\Z")
LAST_FOUR = re.compile(r"[A-Za-z0-9_-]{4}\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """A cleaned term. It is empty if nothing was typed, or more than can be found.

    `token` is the API key or token in it, `code` the 16 characters of a redemption code.
    """

    text: str
    token: str = ""
    code: str = ""
    is_too_long: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether the term must stand in no address: a key, a part of one, or a code."""
        return bool(self.token or self.code) or self.is_key

    @property
    def is_key(self) -> bool:
        """Whether this is a key of ours or of Stripe, whole or cut."""
        return SECRET.search(self.text) is not None

    @property
    def number(self) -> int | None:
        """The id that was typed; None if the term is not a number, or none that a row can have."""
        is_number = self.text.isascii() and self.text.isdigit() and len(self.text) < 20
        number = int(self.text) if is_number else 0
        return number if 0 < number <= MAX_KEY else None

    @property
    def last_four(self) -> str:
        """The last four characters of a key or code, alone or as they are shown; else empty."""
        shown = ENDING.search(self.text)
        if shown:
            return shown[1]
        # Of a key that a log has cut, these are its last ones.
        found = (LAST_FOUR.search if self.is_key else LAST_FOUR.match)(self.text)
        return found[0] if found else ""


def read_term(typed: str) -> Term:
    """Clean what was typed: invisible characters are dropped, and spaces around it."""
    token = _find_token(typed[:MAX_TYPED])
    if len(typed) > MAX_TERM:
        return Term("", token, is_too_long=not token)
    visible = "".join(each for each in " ".join(typed.split()) if each.isprintable())
    text = visible.strip("\"'`<>“”‘’ ")
    is_address = "@" in text or "_" in text
    return Term(text, token, "" if is_address else read_code(text) or "")


def _find_token(typed: str) -> str:
    """Return the first key or token in a text; empty without one.

    A token without the prefix of a key has large and small letters: 32 random bytes in base64. A
    name or trace ID that happens to be as long has not, in nearly all cases.
    """
    for found in TOKEN.finditer(typed):
        text = found[0]
        is_mixed = text != text.lower() and text != text.upper()
        if text.startswith(KEY_PREFIX) or is_mixed:
            return text
    return ""
