"""Refusals with the status, the envelope and the words of OpenAI and Anthropic."""

from typing import Any


class Refused(Exception):
    """The provider refuses the request."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None):
        super().__init__(body)
        self.status, self.body, self.headers = status, body, headers or {}


def refuse_openai(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
    kind: str = "invalid_request_error",
) -> Refused:
    """Return a refusal in OpenAI's envelope."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Refused(status, {"error": error})


def refuse_anthropic(
    message: str, *, status: int = 400, kind: str = "invalid_request_error"
) -> Refused:
    """Return a refusal in Anthropic's envelope."""
    error = {"type": kind, "message": message}
    return Refused(status, {"type": "error", "error": error, "request_id": "req_mock"})


def join_words(words: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b, and c`."""
    if len(words) < 3:
        return " and ".join(words)
    return f"{', '.join(words[:-1])}, and {words[-1]}"
