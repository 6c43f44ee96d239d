"""The failures that errors of a connection and errors of a provider become."""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import ceil
from ssl import SSLError
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy import provider_keys
from llmproxy.exceptions import (
    InvalidRequest,
    UpstreamError,
    UpstreamFailure,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from llmproxy.http1.sockets import NotReachableError
from llmproxy.metering.meter import clean_text
from llmproxy.upstream.refusals import confidential, verdicts
from llmproxy.upstream.refusals.complaints import Complaint, parse_complaint
from llmproxy.upstream.refusals.confidential import Secrets
from llmproxy.upstream.refusals.verdicts import Fault
from llmproxy.upstream.targets import Target

BUSY_SECONDS = 5  # to wait if there is no Retry-After
DETAIL_BYTES = 2000
MAX_RETRY_DIGITS = 20


@dataclass(slots=True)
class ProviderRequest:
    """A request to a provider: `model` is the caller's name of the model, `body` what is sent."""

    target: Target
    endpoint: str
    model: str
    body: bytes

    @property
    def words(self) -> str:
        """The request without the model's name at the provider, which the caller does not know."""
        text = self.body.decode(errors="replace")
        return text.replace(self.target.upstream_name, "") if self.target.upstream_name else text


def build_failure(error: Exception) -> UpstreamFailure:
    """The failure to report for an error of the connection or of the body's coding."""
    detail = repr(error)
    if isinstance(error, NotReachableError):
        return UpstreamUnavailable(
            _("The provider cannot be reached. Try again."), detail=detail, retry_after=5
        )
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(
            _("The provider did not answer in time. Nothing was charged."), detail=detail
        )
    failure = UpstreamError(_("The connection to the provider was lost. Try again."), detail=detail)
    failure.is_of_request = not isinstance(error, SSLError)
    return failure


def build_refusal(
    request: ProviderRequest, raw: bytes, status: int | None = None, retry_after: str = ""
) -> UpstreamFailure:
    """The failure that a provider's error means.

    `raw` is the body of the response or the data of an event. `status` is None if the error came
    with a status of success; `retry_after` is the header of that name. The provider's message
    reaches the caller only if their request is wrong, not if our account is.
    """
    complaint = parse_complaint(raw)
    fault = verdicts.judge(status, complaint, request=request.words)
    detail = f"{status or 200} {raw[:DETAIL_BYTES]!r}"
    if fault is Fault.CALLER:
        failure: UpstreamFailure = _build_rejection(request, complaint, status)
        failure.detail = detail
    elif fault is Fault.BUSY and status is not None:
        wait = _parse_retry_after(retry_after)
        failure = UpstreamUnavailable(
            _("The provider is busy. Try again in a moment."),
            detail=detail,
            retry_after=wait or BUSY_SECONDS,
            cool_seconds=wait,
        )
    else:
        failed = _("The provider failed. Try again.")
        unpaid = _("The provider failed. Nothing was charged. Try again.")
        failure = UpstreamError(failed if status is None else unpaid, detail=detail)
        failure.counts_for_health = fault is not Fault.MODEL
        failure.is_of_request = fault is Fault.PROVIDER
    failure.provider_status = status
    failure.provider_body = raw
    return failure


def _build_rejection(
    request: ProviderRequest, complaint: Complaint, status: int | None
) -> UpstreamRejected:
    code = _hide(request, complaint.code, 100) or InvalidRequest.code
    if code == InvalidRequest.code and verdicts.is_too_long(complaint):
        code = "context_length_exceeded"  # clients shorten the conversation for this code
    return UpstreamRejected(
        _hide(request, complaint.message, 2000) or _("The provider refused this request."),
        status=verdicts.choose_status(status, complaint),
        code=code,
        param=_hide(request, next(iter(complaint.params), ""), 200) or None,
    )


def _hide(request: ProviderRequest, text: str, most: int) -> str:
    target = request.target
    hidden = confidential.hide(
        text,
        _list_secrets(target),
        own_name=target.upstream_name,
        model=request.model,
        request=request.words,
    )
    return clean_text(hidden, most)


def _list_secrets(target: Target) -> Secrets:
    try:
        key = target.key
    except provider_keys.KeyUnreadable:
        key = ""
    try:
        host, proxy = (urlsplit(url).hostname or "" for url in (target.url, target.proxy))
    except ValueError:
        host = proxy = ""
    return Secrets(key=key, host=host, proxy=proxy)


def _parse_retry_after(value: str) -> int | None:
    """Retry-After in seconds (RFC 9110 §10.2.3), at most LLM_COOL_MAX_SECONDS.

    None if the header is missing, malformed or in the past.
    """
    try:
        seconds = (
            float(value)
            if value.isascii() and value.isdigit() and len(value) <= MAX_RETRY_DIGITS
            else parsedate_to_datetime(value).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return None
    return min(max(ceil(seconds), 0), settings.LLM_COOL_MAX_SECONDS) or None
