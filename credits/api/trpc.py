"""tRPC's HTTP protocol, for web clients of the tRPC versions 10 and 11, and the credits API in it.

A batch may call procedures of several applications, so there is one view for all of them: it is in
llmproxy/trpc_view.py, and knows the procedures of credits from here.

Sources: https://trpc.io/docs/rpc and the code of the clients. A client with the superjson
transformer wraps every input as {"json": …}, even an absent one; a client without it never does.
So the inputs of a request show how to encode its response (docs/decisions/0009).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from accounts.access.authentication import CHALLENGE, build_refusal
from accounts.models import User
from accounts.toolbox import headers
from accounts.toolbox.credentials import read_bearer_token
from accounts.toolbox.dialects import ENVELOPE, speaks
from accounts.toolbox.errors import render_refusal
from accounts.toolbox.exceptions import Refusal
from credits.api import answers

MAX_CALLS = 20  # In one batch.
MAX_BRACKETS = 500  # In the inputs of a request. Python cannot print a value nested 1,000 deep.
METHODS = ("GET", "HEAD")
CODES = {  # HTTP status: tRPC's name and JSON-RPC's number of the error.
    400: ("BAD_REQUEST", -32600),
    401: ("UNAUTHORIZED", -32001),
    403: ("FORBIDDEN", -32003),
    404: ("NOT_FOUND", -32004),
    405: ("METHOD_NOT_SUPPORTED", -32005),
    429: ("TOO_MANY_REQUESTS", -32029),
}
HEADERS = {
    401: {"WWW-Authenticate": CHALLENGE},
    405: {"Allow": ", ".join(METHODS)},
}  # RFC 9110 §15.5
Procedures = Mapping[str, Callable[[Request, Any], Any]]
PROCEDURES: Procedures = {
    "credits.balance": lambda request, parameters: answers.read_balance(get_caller(request)),
    "credits.history": lambda request, parameters: answers.read_history(
        get_caller(request), parameters
    ),
    "credits.packages": lambda request, parameters: answers.list_packages(),
    "credits.stats": lambda request, parameters: answers.sum_transactions(
        get_caller(request), parameters
    ),
}
Answer = dict[str, Any]


def build_view(procedures: Procedures) -> Callable[..., JsonResponse]:
    """Return the view of these procedures: one, or with `batch=1` several, separated by commas."""

    @speaks(ENVELOPE)
    @csrf_exempt  # All procedures only read; methods other than GET and HEAD are refused.
    @cache_control(no_store=True)
    def trpc(request: HttpRequest, path: str) -> JsonResponse:
        return _serve(request, path, procedures)

    return trpc


def _serve(request: HttpRequest, path: str, procedures: Procedures) -> JsonResponse:
    batch = request.GET.get("batch") == "1"
    paths = path.split(",") if batch else [path]
    try:
        if request.method not in METHODS:  # The body is not read.
            raise exceptions.MethodNotAllowed(str(request.method))
        inputs = _parse_inputs(request, paths) if batch else {"0": _parse_input(request)}
    except exceptions.APIException as refusal:
        return _refuse_request(refusal, path)
    rest_request = Request(
        request, authenticators=[kind() for kind in APIView.authentication_classes]
    )
    answers = [
        _answer_call(rest_request, path, inputs.get(str(index)), procedures)
        for index, path in enumerate(paths)
    ]
    encode = _encode_superjson if any(map(_is_superjson, inputs.values())) else _encode_json
    if batch and _wants_lines(request):
        return _respond_in_lines(answers, encode)
    encoded = [_encode_answer(answer, encode) for answer in answers]
    return _respond(encoded if batch else encoded[0], _choose_status(answers))


def _parse_input(request: HttpRequest) -> Any:
    """Return the value of the parameter `input`; None if it is absent. Raises ParseError.

    orjson accepts only strict JSON with bounded numbers. The web server bounds the length.
    """
    text = request.GET.get("input", "")
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise exceptions.ParseError("The input nests too deep.")
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        raise exceptions.ParseError("The input is not JSON.") from None


def _parse_inputs(request: HttpRequest, paths: list[str]) -> dict[str, Any]:
    """Return the inputs of a batch by the position of their call, such as "0"."""
    if len(paths) > MAX_CALLS:
        raise exceptions.ValidationError(f"A batch holds at most {MAX_CALLS} calls.")
    inputs = _parse_input(request)
    if not isinstance(inputs, dict | None):
        raise exceptions.ValidationError('"input" needs to be an object when doing a batch call.')
    return inputs or {}


def _answer_call(request: Request, path: str, raw_input: Any, procedures: Procedures) -> Answer:
    try:
        if path not in procedures:
            raise exceptions.NotFound(f'No procedure found on path "{path}".')
        return {"result": {"data": procedures[path](request, _unwrap_input(raw_input))}}
    except (exceptions.APIException, Refusal) as refusal:
        return {"error": _render_error(refusal, path)}


def get_caller(request: Request) -> User:
    """Return the caller. Raises a refusal with status 401 for every call of a batch."""
    # Django REST framework raises AuthenticationFailed only at the first access to `user`.
    if not isinstance(request.user, User):
        token = read_bearer_token(request._request) or ""
        raise exceptions.NotAuthenticated(build_refusal(token).description)
    return request.user


def _is_superjson(raw_input: Any) -> bool:
    """True if the input is wrapped. No procedure has a parameter `json` that could look like it."""
    return (
        isinstance(raw_input, dict) and "json" in raw_input and raw_input.keys() <= {"json", "meta"}
    )


def _unwrap_input(raw_input: Any) -> Any:
    """Return the parameters of the procedure. Null counts as absent.

    superjson and some clients write undefined as null. superjson's `meta` names the types that JSON
    lacks; it is ignored, because the text of a date or a big integer is enough here.
    """
    parameters = raw_input["json"] if _is_superjson(raw_input) else raw_input
    if isinstance(parameters, dict):
        return {name: value for name, value in parameters.items() if value is not None}
    return {} if parameters is None else parameters


def _encode_json(value: Any) -> Any:
    return value


def _encode_superjson(value: Any) -> Any:
    """Add the paths of the dates (https://github.com/flightcontrolhq/superjson)."""
    dates = {path: ["Date"] for path in _find_dates(value)}
    return {"json": value, "meta": {"values": dates}} if dates else {"json": value}


def _find_dates(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the paths of dates. None of our names has a dot, which would need to be escaped."""
    if isinstance(value, datetime):
        yield ".".join(path)
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, inner in items:
        yield from _find_dates(inner, (*path, str(name)))


def _render_error(refusal: Exception, path: str) -> dict[str, Any]:
    """Return the error of the REST routes in the shape of tRPC."""
    rendered = render_refusal(refusal, {})
    assert rendered is not None  # noqa: S101 – APIException and Refusal are always rendered
    status, error = rendered.status_code, rendered.data["error"]
    name, number = (
        ("PARSE_ERROR", -32700) if isinstance(refusal, exceptions.ParseError) else CODES[status]
    )
    prefix = f"{error['param']}: " if error["param"] not in (None, "non_field_errors") else ""
    data = {"code": name, "httpStatus": status, "path": path}
    return {"message": prefix + error["message"], "code": number, "data": data}


def _encode_answer(answer: Answer, encode: Callable[[Any], Any]) -> Answer:
    if "error" in answer:
        return {"error": encode(answer["error"])}
    return {"result": {"data": encode(answer["result"]["data"])}}


def _choose_status(answers: list[Answer]) -> int:
    """Return the status that all answers have in common, or 207 Multi-Status."""
    statuses = {
        answer["error"]["data"]["httpStatus"] if "error" in answer else 200 for answer in answers
    }
    return statuses.pop() if len(statuses) == 1 else 207


def _refuse_request(refusal: exceptions.APIException, path: str) -> JsonResponse:
    """Refuse the whole request in a form that clients with and without superjson can read.

    The inputs were not parsed, so the encoding that the client expects is unknown.
    """
    error = _render_error(refusal, path)
    return _respond({"error": {**error, "json": error}}, refusal.status_code)


def _wants_lines(request: HttpRequest) -> bool:
    """True if httpBatchStreamLink asks for JSON lines in one of these headers."""
    accepted = request.headers.get(headers.TRPC_ACCEPT, request.headers.get("accept", ""))
    return "application/jsonl" in [kind.strip() for kind in accepted.split(",")]


def _respond_in_lines(answers: list[Answer], encode: Callable[[Any], Any]) -> JsonResponse:
    """Respond in httpBatchStreamLink's format, whose status is always 200.

    All answers stand in one line, because none of them is slow.
    """
    response = _respond(
        encode({str(index): [[answer]] for index, answer in enumerate(answers)}), 200
    )
    response.content += b"\n"
    return response


def _respond(body: Any, status: int) -> JsonResponse:
    return JsonResponse(
        body, encoder=JSONEncoder, safe=False, status=status, headers=HEADERS.get(status)
    )
