"""Expected errors with an HTTP status and a code. Each wire format renders them in one place.

Refusal
├── TooManyKeys, AlreadyCreated, KeyRevoked
├── credits.exceptions: InsufficientCredits, HoldEnded, IdempotencyConflict, …
└── llmproxy.exceptions: refusals of the gateway, in the OpenAI envelope
"""

from typing import Any


class Refusal(Exception):
    """A request that was refused for an expected reason, not because of a bug.

    `status` is the HTTP status, `code` a constant for programs, `message` a text for people.
    """

    status = 400
    code = "invalid_request_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TooManyKeys(Refusal):
    """The user already has API_KEYS_PER_USER keys, or created too many in an hour."""

    status = 409
    code = "too_many_keys"


class AlreadyCreated(Refusal):
    """The same form was submitted before; `key` is the ApiKey that it created."""

    status = 409
    code = "already_created"

    def __init__(self, message: str, key: Any) -> None:
        super().__init__(message)
        self.key = key


class KeyRevoked(Refusal):
    """The API key was revoked before the change was saved."""

    status = 409
    code = "key_revoked"
