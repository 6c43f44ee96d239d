"""Refusals that know their status; each wire format renders them in one place.

Refusal
├── TooManyKeys, AlreadyCreated, KeyRevoked
├── credits.exceptions: InsufficientCredits, HoldEnded, IdempotencyConflict, …
└── llmproxy.exceptions: what the gateway answers in the OpenAI envelope
"""

from typing import Any


class Refusal(Exception):
    """An expected "no": `status` is HTTP's, `code` is for machines, the text is for people."""

    status = 400
    code = "invalid_request_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TooManyKeys(Refusal):
    """The user has as many API keys as API_KEYS_PER_USER allows."""

    status = 409
    code = "too_many_keys"


class AlreadyCreated(Refusal):
    """The form was sent before; `key` is the ApiKey that it made."""

    status = 409
    code = "already_created"

    def __init__(self, message: str, key: Any) -> None:
        super().__init__(message)
        self.key = key


class KeyRevoked(Refusal):
    status = 409
    code = "key_revoked"
