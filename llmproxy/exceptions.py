"""The refusals of the gateway and the failures of providers, with status and code (docs/api.md §3).

GatewayRefusal
├── Unauthorized, MissingCredentials, InsufficientScope, UserNotFound, CsrfFailed
├── InvalidRequest, ModelLacks, MethodNotAllowed, LengthRequired, RequestTooLarge, UnsupportedCoding
├── ModelNotFound, GenerationNotFound
├── RateLimited, OutOfCredits, IdempotencyConflict, Replayed, CompactionNotSupported
├── UnderMaintenance
└── UpstreamFailure
    ├── UpstreamError, UpstreamUnavailable, UpstreamTimeout, UpstreamRejected, CallerLeft
    └── ServerRestarting
"""

from typing import Any

from accounts.toolbox.exceptions import Refusal

SOON_SECONDS = 60  # the longest Retry-After that OpenAI's and Anthropic's clients wait for


class GatewayRefusal(Refusal):
    """`param` names the parameter that is wrong; `extra` are further keys of the error object.

    `challenge` is the value of WWW-Authenticate, if other credentials would help. `should_retry`
    is what OpenAI's and Anthropic's clients do with the request; None leaves it to the status.
    """

    challenge = ""
    should_retry: bool | None = None

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
    """The request has no credentials, so the challenge has no error code (RFC 6750 §3.1)."""

    challenge = 'Bearer realm="smartspec"'


class InsufficientScope(GatewayRefusal):
    """The challenge names the scope that is missing (RFC 6750 §3.1)."""

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


class ModelLacks(GatewayRefusal):
    """The model cannot do what the request needs."""

    status = 400

    def __init__(self, message: str, *, code: str, param: str | None) -> None:
        super().__init__(message, param=param)
        self.code = code


class MethodNotAllowed(GatewayRefusal):
    status = 405
    code = "method_not_allowed"


class RequestTooLarge(GatewayRefusal):
    status = 413
    code = "request_too_large"


class LengthRequired(GatewayRefusal):
    status = 411
    code = "length_required"


class UnsupportedCoding(GatewayRefusal):
    """The Content-Encoding of the body is unknown; `headers` say which ones are known."""

    status = 415
    code = "unsupported_media_type"


class ModelNotFound(GatewayRefusal):
    status = 404
    code = "model_not_found"


class GenerationNotFound(GatewayRefusal):
    status = 404
    code = "generation_not_found"


class RateLimited(GatewayRefusal):
    """`headers` contain the limit and when it is free again."""

    status = 429
    code = "rate_limit_exceeded"
    should_retry = True


class IdempotencyConflict(GatewayRefusal):
    """The clients repeat a request after 409. `retry_after` is set while that may help."""

    status = 409
    code = "idempotency_conflict"

    @property
    def should_retry(self) -> bool:  # type: ignore[override]
        return self.retry_after is not None


class Replayed(GatewayRefusal):
    """A repetition with the same Idempotency-Key gets the first answer and its charge."""

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


class CompactionNotSupported(GatewayRefusal):
    """None of the model's providers has the route `/v1/responses/compact`."""

    status = 404
    code = "compaction_not_supported"


class OutOfCredits(GatewayRefusal):
    status = 402
    code = "insufficient_credits"
    should_retry = False


class UnderMaintenance(GatewayRefusal):
    """An administrator has switched maintenance on. Clients repeat what they may do soon."""

    status = 503
    code = "maintenance"

    @property
    def should_retry(self) -> bool:  # type: ignore[override]
        return (self.retry_after or 0) <= SOON_SECONDS


class UpstreamFailure(GatewayRefusal):
    """Base of the failures of providers. `detail` is for the log, never for the caller.

    `cool_seconds` is the provider's own Retry-After, if it sent one. `provider_status` is the
    status of its response, for the operator. `counts_for_health` is False if the failure does not
    show that the provider is ill: it may only lack the route or the model. `is_of_request` is True
    if the request may have caused the failure, so that it blames the provider only if the requests
    of several callers fail. `provider_body` is its error as it came, of a bounded size.
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
        self.counts_for_health = True
        self.is_of_request = False
        self.provider_status: int | None = None
        self.provider_body = b""


class UpstreamError(UpstreamFailure):
    """A provider's failure that the request may have caused, unless it is known that it did not."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.is_of_request = True


class UpstreamUnavailable(UpstreamFailure):
    status = 503
    code = "upstream_unavailable"
    should_retry = True


class UpstreamTimeout(UpstreamFailure):
    status = 504
    code = "upstream_timeout"


class CallerLeft(UpstreamFailure):
    """The caller has disconnected. Only one that closed just its sending half reads this."""

    status = 400
    code = "caller_left"


class ServerRestarting(UpstreamFailure):
    """This worker shuts down: it admits nothing more, or its completions have to end now."""

    status = 503
    code = "server_restarting"
    should_retry = True


class UpstreamRejected(UpstreamFailure):
    """The provider calls the caller's request wrong. Its status and message reach the caller."""

    def __init__(self, message: str, *, status: int, code: str, param: str | None) -> None:
        super().__init__(message)
        self.status = self.provider_status = status
        self.code = code
        self.param = param
