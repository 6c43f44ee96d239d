"""Refusals that know their status; each wire format renders them in one place.

Refusal
├── credits.exceptions: InsufficientCredits, HoldEnded, IdempotencyConflict, …
└── llmproxy.exceptions: what the gateway answers in the OpenAI envelope
"""


class Refusal(Exception):
    """An expected "no": `status` is HTTP's, `code` is for machines, the text is for people."""

    status = 400
    code = "invalid_request_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
