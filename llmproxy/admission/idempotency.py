"""`Idempotency-Key`: a repeated request gets the first answer, and is not charged again.

The admitting statement decides which of two requests is the first, and what the other one gets.
The answer is stored encrypted, and deleted after IDEMPOTENCY_SECONDS.
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
    """The Idempotency-Key of a request, and a digest of its path and body."""

    key: str
    digest: str


def read_key(key: str, path: str, raw: bytes) -> Repeatable:
    """The request with this Idempotency-Key, path and body. Raises InvalidRequest for a bad key."""
    if not KEY.match(key):
        raise InvalidRequest(_("Idempotency-Key must be 1 to 255 printable ASCII characters."))
    return Repeatable(key, hashlib.sha256(path.encode() + b"\0" + raw).hexdigest())


def sealed(answer: Any) -> str:
    """Return the encrypted answer to store; empty if the answer is too large to be stored."""
    plain = lenient_json.encode(answer)
    return (
        encryption.encrypt(plain.decode(), purpose=PURPOSE)
        if len(plain) <= settings.IDEMPOTENT_ANSWER_BYTES
        else ""
    )


def opened(stored: str) -> Any:
    """Return the stored answer; None if it is unreadable because the encryption key has changed."""
    try:
        return lenient_json.decode(encryption.decrypt(stored, purpose=PURPOSE))
    except encryption.Unreadable:
        return None


def forget_old() -> int:
    """Delete the keys whose answers are no longer repeated; return their number."""
    return IdempotencyKey.objects.old().delete()[0]
