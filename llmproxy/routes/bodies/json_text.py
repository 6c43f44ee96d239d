"""Reads the JSON of a request body, also where clients write it in a way that orjson refuses.

Everything that is rare is done only after orjson has refused the text.
"""

import re
from typing import Any

import orjson
from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-16
HEAD = 4  # JSON begins with ASCII, so a NUL among its first bytes is UTF-16 or UTF-32
# Escapes in a JSON string: a run of those that stay, or a surrogate alone. Or the three bytes of a
# surrogate that was encoded as if it were a character.
ESCAPES = re.compile(
    rb"(?:\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|u[dD][0-7]|u[^dD]|[^u]))+"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|(\xed[\xa0-\xbf][\x80-\xbf])",
    re.DOTALL,
)
NO_NUMBER = re.compile(r"-?(NaN|Infinity)\b")


def load(raw: bytes) -> Any:
    """Return the value that `raw` contains as JSON in UTF-8. Raises InvalidRequest.

    A surrogate alone, as it remains when a text is cut within an emoji, becomes U+FFFD. A byte
    order mark at the beginning is ignored (RFC 8259 §8.1). Of members with the same name the last
    one counts.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if not raw.startswith(BYTE_ORDER_MARK):
            return _load_repaired(raw, error)
    text = raw.removeprefix(BYTE_ORDER_MARK)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _load_repaired(text, error)


def _load_repaired(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    if raw.startswith(OTHER_MARKS) or b"\0" in raw[:HEAD]:
        raise InvalidRequest(_("Send the text as UTF-8."))
    if not raw.strip():
        raise InvalidRequest(_("The request body is empty."))
    if "surrogate" in str(error):
        raw = ESCAPES.sub(_replace_surrogate, raw)
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as other:
            error = other
    raise InvalidRequest(_explain(raw, error))


def _replace_surrogate(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return rb"\ufffd"
    return "\ufffd".encode() if found[2] else found[0]


def _explain(text: bytes, error: orjson.JSONDecodeError) -> str:
    """Return the sentence that says why this text is no JSON."""
    characters = text.decode(errors="replace")
    for start in (error.pos - 1, error.pos):  # orjson stops after the sign of -Infinity
        if start >= 0 and (word := NO_NUMBER.match(characters, start)):
            return _("The request body is not valid JSON: it cannot contain %(word)s.") % {
                "word": word[0]
            }
    return _("The request body is not valid JSON: %(why)s.") % {"why": error}
