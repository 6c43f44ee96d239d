"""The gateway's routes. Plain views: each request here pays for every layer."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from accounts.errors import envelope
from accounts.exceptions import Refusal
from llmproxy import callers, catalogue, chat_request, completions, dialects, receipts, relay
from llmproxy.admission import Admission, admit
from llmproxy.callers import GatewayCaller
from llmproxy.dialects import Dialect
from llmproxy.exceptions import (
    GatewayRefusal,
    GenerationNotFound,
    InvalidRequest,
    RateLimited,
    RequestTooLarge,
)
from llmproxy.models import Completion, LanguageModel

View = Callable[..., HttpResponseBase]


def gateway(*methods: str) -> Callable[[View], View]:
    """A route of the gateway: refusals in its envelope, and the headers that every answer has."""

    def decorate(view: View) -> View:
        @csrf_exempt  # bearer callers have no cookie; callers.authenticate checks those that have
        @wraps(view)
        def wrapped(request: HttpRequest, **captured: str) -> HttpResponseBase:
            request.trace_id = callers.trace_id(request)  # type: ignore[attr-defined]
            if request.method not in methods:
                return _finished(request, _method_not_allowed(methods))
            try:
                response = view(request, **captured)
            except Refusal as refusal:
                response = _refused(refusal)
            return _finished(request, response)

        return wrapped

    return decorate


def _method_not_allowed(methods: tuple[str, ...]) -> HttpResponse:
    allowed = ", ".join(methods)
    body = envelope(405, _("Use %(methods)s here.") % {"methods": allowed}, "method_not_allowed")
    return JsonResponse(body, status=405, headers={"Allow": allowed})


def _refused(refusal: Refusal) -> HttpResponse:
    gateway_refusal = refusal if isinstance(refusal, GatewayRefusal) else None
    extra = gateway_refusal.extra if gateway_refusal else {}
    param = gateway_refusal.param if gateway_refusal else None
    body = envelope(refusal.status, refusal.message, refusal.code, param=param, **extra)
    response = JsonResponse(body, status=refusal.status)
    if gateway_refusal and gateway_refusal.retry_after:
        response["Retry-After"] = str(gateway_refusal.retry_after)
    if isinstance(refusal, RateLimited):
        for name, value in refusal.headers.items():
            response[name] = value
    if gateway_refusal and gateway_refusal.challenge:
        response["WWW-Authenticate"] = gateway_refusal.challenge
    return response


def _finished(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response["x-request-id"] = callers.request_id()
    response["x-trace-id"] = request.trace_id  # type: ignore[attr-defined]
    admission: Admission | None = getattr(request, "admission", None)
    for name, value in (admission.headers if admission else {}).items():
        response[name] = value
    return response


@gateway("POST")
def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """`POST /v1/chat/completions`: JSON, or SSE when `stream` is true."""
    admission = _admit(request, "/v1/chat/completions", stream=None)
    return _stream(request, admission, dialects.OpenAI()) if admission.request.stream else _answer(admission)


@gateway("POST")
def llm_chat(request: HttpRequest) -> HttpResponseBase:
    """`POST /api/llm/chat`: always JSON."""
    return _answer(_admit(request, "/api/llm/chat", stream=False))


@gateway("POST")
def llm_stream(request: HttpRequest) -> HttpResponseBase:
    """`POST /api/llm/stream`: always SSE, with events of their own for the bill and for a failure."""
    return _stream(request, _admit(request, "/api/llm/stream", stream=True), dialects.Named())


@gateway("GET", "HEAD")
def models(request: HttpRequest) -> HttpResponse:
    """`GET /v1/models`: the models this caller may use."""
    caller = callers.authenticate(request)
    return JsonResponse(
        {"object": "list", "data": [_model(row) for row in catalogue.listed(caller.user, caller.only_models)]}
    )


@gateway("GET", "HEAD")
def model(request: HttpRequest, name: str) -> HttpResponse:
    """`GET /v1/models/{name}`."""
    caller = callers.authenticate(request)
    return JsonResponse(_model(catalogue.find(name, caller.user, caller.only_models)))


@gateway("GET", "HEAD")
def generation(request: HttpRequest) -> HttpResponse:
    """`GET /v1/generation?id=`: the receipt of a completion of the caller's own."""
    caller = callers.authenticate(request)
    asked = request.GET.get("id", "")
    found = Completion.objects.filter(user=caller.user, generation_id=asked).first() if caller.user else None
    if found is None:
        raise GenerationNotFound(_("There is no completion of yours with this id."), param="id")
    return JsonResponse(receipts.explain(found))


def _model(row: LanguageModel) -> dict[str, Any]:
    prices = row.prices
    return {
        "id": row.name,
        "object": "model",
        "created": int(row.created_at.timestamp()),
        "owned_by": row.provider.slug,
        "max_output_tokens": row.output_limit,
        "credits_per_1k_tokens": {
            "prompt": float(prices.prompt),
            "cached_prompt": float(prices.cached_prompt),
            "completion": float(prices.completion),
        },
    }


def _admit(request: HttpRequest, route: str, *, stream: bool | None) -> Admission:
    raw = _body(request)
    caller: GatewayCaller = callers.authenticate(request)
    asked = chat_request.parse(raw, stream=stream)
    admission = admit(caller, asked, trace_id=request.trace_id, route=route)  # type: ignore[attr-defined]
    request.admission = admission  # type: ignore[attr-defined]
    return admission


def _body(request: HttpRequest) -> bytes:
    """The raw body, at most WEB_LLM_MAX_BODY_BYTES."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise InvalidRequest(_("Send the body with a Content-Length."))
    try:
        return request.body
    except RequestDataTooBig:
        raise RequestTooLarge(_("The body is larger than this service accepts.")) from None
    except UnreadablePostError:
        raise InvalidRequest(_("The body ended early.")) from None


def _answer(admission: Admission) -> HttpResponse:
    answer, receipt = completions.complete(admission)
    credits = dialects.credits_of(receipt)
    response = JsonResponse({**answer, "_credits": credits})
    response["x-credits-used"] = str(receipt.charged)
    if receipt.balance_after is not None:
        response["x-credits-remaining"] = str(receipt.balance_after)
    return response


def _stream(request: HttpRequest, admission: Admission, dialect: Dialect) -> HttpResponseBase:
    # Who reads nothing for so long has gone, even with the connection open: writing fails, and `close` settles.
    if (sock := request.META.get("gunicorn.socket")) is not None:
        sock.settimeout(settings.LLM_WRITE_SECONDS)
    response = StreamingHttpResponse(relay.open_stream(admission, dialect), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"  # nginx would keep the events together
    return response
