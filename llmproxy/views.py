"""The views of the gateway's routes.

They are plain functions without Django REST framework, because every layer costs time per request.
"""

import re
import socket
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from accounts.operation import current as operation
from accounts.toolbox import headers
from accounts.toolbox.diagnosis import traces
from accounts.toolbox.diagnosis.causes import attach_cause
from accounts.toolbox.dialects import speaks
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.shutdown import shutdown
from llmproxy import catalogue, lenient_json, token_counts
from llmproxy.admission import callers, idempotency
from llmproxy.admission.admit import Admission, admit, identify_caller
from llmproxy.admission.callers import PresentedCaller
from llmproxy.admission.free_requests import FreeAdmission, admit_free
from llmproxy.admission.idempotency import Repeatable
from llmproxy.completion import running, streaming
from llmproxy.exceptions import (
    GatewayRefusal,
    GenerationNotFound,
    InsufficientScope,
    InvalidRequest,
    LengthRequired,
    MethodNotAllowed,
    Replayed,
    RequestTooLarge,
    Unauthorized,
    UnderMaintenance,
    UpstreamFailure,
    UserNotFound,
)
from llmproxy.models import Completion
from llmproxy.receipts import explain
from llmproxy.routes import model_lists
from llmproxy.routes.base import Route
from llmproxy.routes.bodies import content_coding
from llmproxy.routes.chat import CHAT, DesktopChat
from llmproxy.routes.compaction import COMPACTION
from llmproxy.routes.embeddings import EMBEDDINGS
from llmproxy.routes.messages import MESSAGES
from llmproxy.routes.request_body import CompletionRequest
from llmproxy.routes.responses import RESPONSES
from llmproxy.routes.text import TEXT
from llmproxy.routes.token_counts import MESSAGE_TOKEN_COUNT, RESPONSE_TOKEN_COUNT, TokenCount

CORK = getattr(socket, "TCP_CORK", None)  # Linux
IDEMPOTENCY_KEY = headers.wsgi_name(headers.IDEMPOTENCY_KEY)
STRANGERS_BYTES = 16 * 1024  # parsing a body of this size costs less than a query for the caller
GENERATION_ID = re.compile(r"gen_[\w-]{1,36}\Z", re.ASCII)
View = Callable[..., HttpResponseBase]
Response = TypeVar("Response", bound=HttpResponseBase)
T = TypeVar("T")


def gateway(
    *methods: str, route: Route = CHAT, choose_route: Callable[[HttpRequest], Route] | None = None
) -> Callable[[View], View]:
    """Make a gateway view: add the request and trace id, and write refusals as `route` does.

    If the client decides about the dialect, `choose_route` returns the route instead.
    """

    def decorate(view: View) -> View:
        @speaks(route.dialect)
        @csrf_exempt  # bearer callers have no cookie; callers.authenticate checks sessions
        @wraps(view)
        def wrapped(request: HttpRequest, **captured: str) -> HttpResponseBase:
            request.trace_id = traces.choose_trace_id(request)  # type: ignore[attr-defined]
            try:
                if request.method not in methods:
                    raise _build_method_refusal(methods)
                if operation.is_maintained():
                    raise _build_maintenance()
                response = view(request, **captured)
            except Refusal as refusal:
                chosen = choose_route(request) if choose_route else route
                response = _render_refusal(refusal, chosen)
            _add_headers(request, response)
            if choose_route:
                choose_route(request).dialect.add_headers(request, response)
            return response

        return wrapped

    return decorate


def _build_method_refusal(methods: tuple[str, ...]) -> MethodNotAllowed:
    allowed = ", ".join(methods)
    return MethodNotAllowed(
        _("Use %(methods)s here.") % {"methods": allowed}, headers={"Allow": allowed}
    )


def _build_maintenance() -> UnderMaintenance:
    words, seconds = operation.read_maintenance()
    return UnderMaintenance(words, retry_after=seconds)


def _render_refusal(refusal: Refusal, route: Route) -> HttpResponse:
    if isinstance(refusal, Replayed):
        response = _render_replay(refusal)
    else:
        response = JsonResponse(route.refusal(refusal), status=refusal.status)
    if isinstance(refusal, GatewayRefusal):
        if refusal.retry_after:
            response["Retry-After"] = str(refusal.retry_after)
        if refusal.should_retry is not None:
            response[headers.SHOULD_RETRY] = "true" if refusal.should_retry else "false"
        if refusal.challenge:
            response["WWW-Authenticate"] = refusal.challenge
        for name, value in refusal.headers.items():
            response[name] = value
    return attach_cause(response, refusal) if refusal.status >= 500 else response


def _render_replay(first: Replayed) -> HttpResponse:
    response = _render_answer(first.answer, first.charged, first.balance_after)
    response[headers.GENERATION_ID] = first.generation_id
    response[headers.IDEMPOTENCY_REPLAYED] = "true"
    return response


def _add_headers(request: HttpRequest, response: HttpResponseBase) -> None:
    response[headers.TRACE_ID] = request.trace_id  # type: ignore[attr-defined]
    admission: Admission | FreeAdmission | None = getattr(request, "admission", None)
    for name, value in (admission.headers if admission else {}).items():
        response[name] = value
    parsed: CompletionRequest | None = getattr(request, "parsed", None)
    if parsed and parsed.not_sent:
        response[headers.DROPPED_PARAMETERS] = ", ".join(parsed.not_sent)


def _build_completion_view(route: Route, *, stream: bool | None = None) -> View:
    """Return a view that answers in JSON or in events.

    `stream` decides between them; None leaves it to the request body.
    """

    @gateway("POST", route=route)
    def view(request: HttpRequest) -> HttpResponseBase:
        admission = _admit(request, route, stream=stream)
        sock = request.META.get("gunicorn.socket")
        if admission.request.stream:
            return _respond_with_events(admission, sock)
        return _respond_with_json(admission, sock)

    return view


chat_completions = _build_completion_view(CHAT)
completions_of_text = _build_completion_view(TEXT)
embeddings = _build_completion_view(EMBEDDINGS, stream=False)
responses = _build_completion_view(RESPONSES)
compaction = _build_completion_view(COMPACTION, stream=False)
messages = _build_completion_view(MESSAGES)
llm_chat = _build_completion_view(CHAT, stream=False)
llm_stream = _build_completion_view(DesktopChat(), stream=True)


def _build_token_count_view(route: TokenCount) -> View:
    @gateway("POST", route=route)
    def view(request: HttpRequest) -> HttpResponseBase:
        def ask(caller: PresentedCaller, raw: bytes) -> tuple[FreeAdmission, CompletionRequest]:
            parsed = request.parsed = route.parse(raw)  # type: ignore[attr-defined]
            return admit_free(caller, parsed, endpoint=route.endpoint), parsed

        admission, parsed = _ask_for_caller(request, ask)
        request.admission, request.parsed = admission, parsed  # type: ignore[attr-defined]
        count = token_counts.count_tokens(
            admission,
            parsed,
            route=route,
            trace_id=request.trace_id,  # type: ignore[attr-defined]
            passed_headers=route.passed_headers(request.headers, parsed)
            | traces.continue_trace(request),
        )
        response = JsonResponse(route.build_answer(count.tokens))
        if count.is_estimated:
            response[headers.TOKEN_COUNT] = "estimated"
        return response

    return view


count_message_tokens = _build_token_count_view(MESSAGE_TOKEN_COUNT)
count_response_tokens = _build_token_count_view(RESPONSE_TOKEN_COUNT)


def _choose_models_route(request: HttpRequest) -> Route:
    return model_lists.choose_format(request).route


@gateway("GET", "HEAD", choose_route=_choose_models_route)
def models(request: HttpRequest) -> HttpResponse:
    """`GET /v1/models`: the models that the caller may use."""
    caller = callers.authenticate(request)
    return JsonResponse(
        model_lists.choose_format(request).render_list(
            catalogue.list_models(caller.user, caller.only_models), request.GET
        )
    )


@gateway("GET", "HEAD", choose_route=_choose_models_route)
def model(request: HttpRequest, name: str) -> HttpResponse:
    """`GET /v1/models/{name}`."""
    caller = callers.authenticate(request)
    row = catalogue.find_model(name, caller.user, caller.only_models)
    return JsonResponse(model_lists.choose_format(request).render_model(row))


@gateway("GET", "HEAD")
def generation(request: HttpRequest) -> HttpResponse:
    """`GET /v1/generation?id=`: the receipt of one of the caller's completions."""
    caller = callers.authenticate(request)
    generation_id = request.GET.get("id", "")
    if not GENERATION_ID.match(generation_id):
        raise InvalidRequest(
            _("Send the x-generation-id of an answer as id: /v1/generation?id=gen_…"), param="id"
        )
    row = (
        Completion.objects.filter(user=caller.user, generation_id=generation_id).first()
        if caller.user
        else None
    )
    if row is None:
        raise GenerationNotFound(_("You have no completion with this ID."), param="id")
    return JsonResponse(explain.explain(row))


def _admit(request: HttpRequest, route: Route, *, stream: bool | None) -> Admission:
    def ask(caller: PresentedCaller, raw: bytes) -> Admission:
        parsed = request.parsed = route.parse(raw, stream=stream)  # type: ignore[attr-defined]
        return admit(
            caller,
            parsed,
            route=route,
            path=request.path,
            trace_id=request.trace_id,  # type: ignore[attr-defined]
            repeatable=_repeatable(request, raw),
            passed_headers=route.passed_headers(request.headers, parsed)
            | traces.continue_trace(request),
        )

    admission = _ask_for_caller(request, ask)
    request.admission = admission  # type: ignore[attr-defined]
    return admission


def _ask_for_caller(request: HttpRequest, ask: Callable[[PresentedCaller, bytes], T]) -> T:
    """Return what `ask` returns for the caller and the body of this request.

    Raises GatewayRefusal. An unknown caller learns only that it is unknown.
    """
    if shutdown.has_begun:
        raise running.build_restart()
    raw = _body(request)
    caller = callers.read_caller(request)
    coding = request.META.get("HTTP_CONTENT_ENCODING")
    if coding or len(raw) > STRANGERS_BYTES:
        identify_caller(caller)
    if coding:
        raw = content_coding.inflate(raw, coding, settings.WEB_LLM_MAX_BODY_BYTES)
    try:
        return ask(caller, raw)
    except (Unauthorized, InsufficientScope, UserNotFound):
        raise
    except Refusal:
        identify_caller(caller)
        raise


def _repeatable(request: HttpRequest, raw: bytes) -> Repeatable | None:
    """None for a request without an Idempotency-Key. Raises InvalidRequest for a malformed one."""
    key = request.META.get(IDEMPOTENCY_KEY)
    return None if key is None else idempotency.read_key(key, request.path, raw)


def _body(request: HttpRequest) -> bytes:
    """Return the raw body. Raises GatewayRefusal: RequestTooLarge over WEB_LLM_MAX_BODY_BYTES.

    smartspec/wsgi.py has read a chunked body already; a server without it would not read it at all.
    """
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired(_("Send the request body with a Content-Length."))
    try:
        return request.body
    except RequestDataTooBig:
        raise RequestTooLarge(_("The request body is larger than this service accepts.")) from None
    except UnreadablePostError:
        raise InvalidRequest(_("The request body ended early.")) from None


def _respond_with_json(admission: Admission, sock: Any) -> HttpResponseBase:
    try:
        answer, receipt = running.complete(admission, sock)
    except UpstreamFailure as failure:
        raise admission.route.explain_failure(failure) from failure
    if admission.request.is_rewritten:
        pieces = admission.route.rewrite(_add_bill(answer, receipt.charged, receipt.balance_after))
        streamed = StreamingHttpResponse(pieces, content_type="application/json")
        return _add_bill_headers(streamed, receipt.charged, receipt.balance_after)
    response = _render_answer(answer, receipt.charged, receipt.balance_after)
    if CORK and sock is not None:
        # Send headers and body in one packet, although gunicorn writes one after the other.
        sock.setsockopt(socket.IPPROTO_TCP, CORK, 1)
        response._resource_closers.append(  # type: ignore[attr-defined]
            lambda: sock.setsockopt(socket.IPPROTO_TCP, CORK, 0)
        )
    return response


def _render_answer(answer: dict[str, Any], charged: int, balance_after: int | None) -> HttpResponse:
    body = lenient_json.encode(_add_bill(answer, charged, balance_after))
    response = HttpResponse(body, content_type="application/json")
    return _add_bill_headers(response, charged, balance_after)


def _add_bill(answer: dict[str, Any], charged: int, balance_after: int | None) -> dict[str, Any]:
    return {**answer, "_credits": {"used": charged, "remaining": balance_after}}


def _add_bill_headers(response: Response, charged: int, balance_after: int | None) -> Response:
    response[headers.CREDITS_USED] = str(charged)
    if balance_after is not None:
        response[headers.CREDITS_REMAINING] = str(balance_after)
    return response


def _respond_with_events(admission: Admission, sock: Any) -> HttpResponseBase:
    # A caller that reads nothing for so long counts as disconnected, although its connection is
    # open: writing fails, and `close` settles the completion.
    if sock is not None:
        sock.settimeout(settings.LLM_WRITE_SECONDS)
    response = StreamingHttpResponse(
        streaming.open_stream(admission, sock), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-cache"
    response[headers.ACCEL_BUFFERING] = "no"  # otherwise nginx buffers the events
    return response
