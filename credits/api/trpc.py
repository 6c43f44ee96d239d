"""The questions of reports.py over tRPC's HTTP protocol, for web clients of its versions 10 and 11.

Sources: https://trpc.io/docs/rpc and the clients' own code. A client with the superjson transformer
wraps every input as {"json": …}, also one that is absent, and a client without it never does: so the
inputs of a request say how its answers are to be spelt (docs/decisions/0009).
"""

from collections.abc import Callable, Iterator
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

from accounts.access.authentication import CHALLENGE, build_refusal, read_bearer_token
from accounts.models import User
from accounts.toolbox import headers
from accounts.toolbox.dialects import ENVELOPE, speaks
from accounts.toolbox.errors import render_refusal
from accounts.toolbox.exceptions import Refusal
from credits.api import answers

MAX_CALLS = 20  # in one batch
MAX_BRACKETS = 500  # in the inputs of a request; Python cannot print what nests 1,000 deep
METHODS = ("GET", "HEAD")
CODES = {  # HTTP's status: tRPC's name and JSON-RPC's number
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
PROCEDURES: dict[str, Callable[[Request, Any], Any]] = {
    "credits.balance": lambda request, asked: answers.balance(_user(request)),
    "credits.history": lambda request, asked: answers.history(_user(request), asked),
    "credits.packages": lambda request, asked: answers.packages(),
    "credits.stats": lambda request, asked: answers.stats(_user(request), asked),
}
Answer = dict[str, Any]


@speaks(ENVELOPE)
@csrf_exempt  # there are only questions: another method is refused, whoever asks
@cache_control(no_store=True)
def trpc(request: HttpRequest, path: str) -> JsonResponse:
    """One procedure, or with `batch=1` several, separated by commas."""
    batch = request.GET.get("batch") == "1"
    paths = path.split(",") if batch else [path]
    try:
        if request.method not in METHODS:  # what is in the body is not read
            raise exceptions.MethodNotAllowed(str(request.method))
        inputs = _inputs(request, paths) if batch else {"0": _input(request)}
    except exceptions.APIException as refusal:
        return _refused(refusal, path)
    asking = Request(request, authenticators=[kind() for kind in APIView.authentication_classes])
    answers = [_answer(asking, path, inputs.get(str(index))) for index, path in enumerate(paths)]
    spell = _superjson if any(map(_is_superjson, inputs.values())) else _json
    if batch and _wants_lines(request):
        return _lines(answers, spell)
    spelt = [_spelt(answer, spell) for answer in answers]
    return _response(spelt if batch else spelt[0], _status(answers))


def _input(request: HttpRequest) -> Any:
    """The parameter `input`, or None. Strict JSON, with bounded numbers; its length is the web server's to bound."""
    text = request.GET.get("input", "")
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise exceptions.ParseError("The input nests too deep.")
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        raise exceptions.ParseError("The input is not JSON.") from None


def _inputs(request: HttpRequest, paths: list[str]) -> dict[str, Any]:
    """Of a batch: inputs by the position of their call, as text."""
    if len(paths) > MAX_CALLS:
        raise exceptions.ValidationError(f"A batch holds at most {MAX_CALLS} calls.")
    given = _input(request)
    if not isinstance(given, dict | None):
        raise exceptions.ValidationError('"input" needs to be an object when doing a batch call.')
    return given or {}


def _answer(request: Request, path: str, given: Any) -> Answer:
    try:
        return {"result": {"data": _ask(request, path, _unwrapped(given))}}
    except (exceptions.APIException, Refusal) as refusal:
        return {"error": _error(refusal, path)}


def _ask(request: Request, path: str, asked: Any) -> Any:
    if path not in PROCEDURES:
        raise exceptions.NotFound(f'No procedure found on path "{path}".')
    return PROCEDURES[path](request, asked)


def _user(request: Request) -> User:
    """The caller, the same one for every call of a batch; raises a refusal with status 401."""
    if not isinstance(
        request.user, User
    ):  # a bad token raises AuthenticationFailed, but only the first time
        raise exceptions.NotAuthenticated(
            build_refusal(read_bearer_token(request._request) or "").description
        )
    return request.user


def _is_superjson(given: Any) -> bool:
    """No procedure has a parameter named json, so the wrapping cannot be mistaken for an input."""
    return isinstance(given, dict) and "json" in given and given.keys() <= {"json", "meta"}


def _unwrapped(given: Any) -> Any:
    """What the procedure is asked. Null is absent: superjson, and some clients, write undefined as null.

    `meta` tells the types that JSON lacks; a date's and a big integer's text is all that we need of them.
    """
    asked = given["json"] if _is_superjson(given) else given
    if isinstance(asked, dict):
        return {name: value for name, value in asked.items() if value is not None}
    return {} if asked is None else asked


def _json(value: Any) -> Any:
    return value


def _superjson(value: Any) -> Any:
    """https://github.com/flightcontrolhq/superjson: the value, and where in it are dates."""
    dates = {path: ["Date"] for path in _dates(value)}
    return {"json": value, "meta": {"values": dates}} if dates else {"json": value}


def _dates(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """No name on the way to a date has a dot, which superjson would want escaped."""
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
        yield from _dates(inner, (*path, str(name)))


def _error(refusal: Exception, path: str) -> dict[str, Any]:
    """tRPC's shape of the refusal that the REST routes would give."""
    rendered = render_refusal(refusal, {})
    assert rendered is not None  # noqa: S101 – APIException and Refusal always are
    status, said = rendered.status_code, rendered.data["error"]
    name, number = (
        ("PARSE_ERROR", -32700) if isinstance(refusal, exceptions.ParseError) else CODES[status]
    )
    about = f"{said['param']}: " if said["param"] not in (None, "non_field_errors") else ""
    data = {"code": name, "httpStatus": status, "path": path}
    return {"message": about + said["message"], "code": number, "data": data}


def _spelt(answer: Answer, spell: Callable[[Any], Any]) -> Answer:
    if "error" in answer:
        return {"error": spell(answer["error"])}
    return {"result": {"data": spell(answer["result"]["data"])}}


def _status(answers: list[Answer]) -> int:
    """What all answers have in common, or 207 Multi-Status."""
    statuses = {
        answer["error"]["data"]["httpStatus"] if "error" in answer else 200 for answer in answers
    }
    return statuses.pop() if len(statuses) == 1 else 207


def _refused(refusal: exceptions.APIException, path: str) -> JsonResponse:
    """The whole request is refused unread, so how to spell the answer is unknown: every client reads this one."""
    error = _error(refusal, path)
    return _response({"error": {**error, "json": error}}, refusal.status_code)


def _wants_lines(request: HttpRequest) -> bool:
    """httpBatchStreamLink says so in one of these headers."""
    accepted = request.headers.get(headers.TRPC_ACCEPT, request.headers.get("accept", ""))
    return "application/jsonl" in [kind.strip() for kind in accepted.split(",")]


def _lines(answers: list[Answer], spell: Callable[[Any], Any]) -> JsonResponse:
    """httpBatchStreamLink's format, of which one line is enough as nothing is slow. Its status is always 200."""
    response = _response(
        spell({str(index): [[answer]] for index, answer in enumerate(answers)}), 200
    )
    response.content += b"\n"
    return response


def _response(body: Any, status: int) -> JsonResponse:
    return JsonResponse(
        body, encoder=JSONEncoder, safe=False, status=status, headers=HEADERS.get(status)
    )
