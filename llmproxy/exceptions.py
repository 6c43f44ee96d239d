"""What the gateway refuses or could not get, each with its status and code (api.md §3).

GatewayRefusal
├── Unauthorized, MissingCredentials, InsufficientScope, UserNotFound, CsrfFailed
├── InvalidRequest, MethodNotAllowed, RequestTooLarge, ModelNotFound, GenerationNotFound
├── RateLimited, OutOfCredits, IdempotencyConflict, Replayed
└── UpstreamFailure: UpstreamError, UpstreamUnavailable, UpstreamTimeout, UpstreamRejected, CallerLeft
"""

from typing import Any

from accounts.toolbox.exceptions import Refusal


class GatewayRefusal(Refusal):
    """`param` names the offending parameter, `extra` are further keys of the error object.

    `challenge` says with which credentials it would work, where others would.
    """

    challenge = ""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.retry_after = retry_after
        self.headers = headers or {}
        self.extra = extra


class Unauthorized(GatewayRefusal):
    status = 401
    code = "invalid_token"
    challenge = 'Bearer realm="smartspec", error="invalid_token"'


class MissingCredentials(Unauthorized):
    """Nothing was sent, so nothing is wrong with it (RFC 6750 §3.1)."""

    challenge = 'Bearer realm="smartspec"'


class InsufficientScope(GatewayRefusal):
    """RFC 6750 §3.1: the challenge names the scope that is missing."""

    status = 403
    code = "insufficient_scope"
    challenge = 'Bearer realm="smartspec", error="insufficient_scope", scope="llm:chat"'


class UserNotFound(GatewayRefusal):
    status = 403
    code = "user_not_found"


class CsrfFailed(GatewayRefusal):
    status = 403
    code = "csrf_failed"


class InvalidRequest(GatewayRefusal):
    status = 400
    code = "invalid_request_error"


class MethodNotAllowed(GatewayRefusal):
    status = 405
    code = "method_not_allowed"


class RequestTooLarge(GatewayRefusal):
    status = 413
    code = "request_too_large"


class ModelNotFound(GatewayRefusal):
    status = 404
    code = "model_not_found"


class GenerationNotFound(GatewayRefusal):
    status = 404
    code = "generation_not_found"


class RateLimited(GatewayRefusal):
    """`headers` say which rate and when it is free again."""

    status = 429
    code = "rate_limit_exceeded"


class IdempotencyConflict(GatewayRefusal):
    status = 409
    code = "idempotency_conflict"


class Replayed(GatewayRefusal):
    """A second completion is refused, and the answer of the first one given: what it was, and what it was charged."""

    status = 200
    code = "replayed"

    def __init__(
        self,
        answer: Any,
        generation_id: str,
        charged: int,
        balance_after: int | None,
        *,
        headers: dict[str, str],
    ) -> None:
        super().__init__("", headers=headers)
        self.answer = answer
        self.generation_id = generation_id
        self.charged = charged
        self.balance_after = balance_after


class OutOfCredits(GatewayRefusal):
    status = 402
    code = "insufficient_credits"


class UpstreamFailure(GatewayRefusal):
    """Base of everything the provider did wrong; `detail` is for our log, never for the caller.

    `cool_seconds` is for how long the provider itself asked to be left alone, if it did; `answered` is the status that
    it refused with, for the operator.
    """

    def __init__(
        self,
        message: str,
        *,
        detail: str = "",
        retry_after: int | None = None,
        cool_seconds: int | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = detail
        self.cool_seconds = cool_seconds
        self.tells_of_health = True  # of the provider's; not, where it has no such route or model
        self.answered: int | None = None


class UpstreamError(UpstreamFailure):
    status = 502
    code = "upstream_error"


class UpstreamUnavailable(UpstreamFailure):
    status = 503
    code = "upstream_unavailable"


class UpstreamTimeout(UpstreamFailure):
    status = 504
    code = "upstream_timeout"


class CallerLeft(UpstreamFailure):
    """Nobody reads this, except a caller that closed only its sending half."""

    status = 400
    code = "caller_left"


class UpstreamRejected(UpstreamFailure):
    """The provider says that the caller's request is wrong: its status and words pass through."""

    def __init__(self, message: str, *, status: int, code: str, param: str | None) -> None:
        super().__init__(message)
        self.status = self.answered = status
        self.code = code
        self.param = param
