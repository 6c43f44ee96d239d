"""`Idempotency-Key`: the same request again gets the first answer, and is not charged again.

Which of two is the first, and what the other one gets, is decided in the statement that admits them. The answer is
kept encrypted for IDEMPOTENCY_SECONDS, and forgotten.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.toolbox import encryption
from llmproxy import lenient_json
from llmproxy.exceptions import InvalidRequest
from llmproxy.models import IdempotencyKey

PURPOSE = "stored answers"
KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """What the caller named this request, and a digest of what it asks for."""

    key: str
    digest: str


def read_key(key: str, path: str, raw: bytes) -> Repeatable:
    """The request with this Idempotency-Key, path and body. Raises InvalidRequest for a malformed key."""
    if not KEY.match(key):
        raise InvalidRequest(_("Idempotency-Key must be 1 to 255 printable ASCII characters."))
    return Repeatable(key, hashlib.sha256(path.encode() + b"\0" + raw).hexdigest())


def sealed(answer: Any) -> str:
    """What is stored of an answer; empty for one too large to be kept."""
    plain = lenient_json.encode(answer)
    return (
        encryption.encrypt(plain.decode(), purpose=PURPOSE)
        if len(plain) <= settings.IDEMPOTENT_ANSWER_BYTES
        else ""
    )


def opened(stored: str) -> Any:
    """The answer; None for one that a changed key has made unreadable."""
    try:
        return lenient_json.decode(encryption.decrypt(stored, purpose=PURPOSE))
    except encryption.Unreadable:
        return None


def forget_old() -> int:
    """Delete what is not repeated any more; returns how many."""
    return IdempotencyKey.objects.old().delete()[0]
