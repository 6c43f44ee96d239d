"""Parameters of the OAuth routes: read from a form or JSON body into one flat set of strings.

RFC 6749 Appendix A allows only printable ASCII in the parameters that we know, so everything else
is refused here.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qsl, unquote_plus

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from deviceauth.exceptions import InvalidClient, InvalidRequest
from deviceauth.oauth.server import DEVICE_CODE, REFRESH_TOKEN

MAX_PARAMETERS = 20
MAX_LENGTH = 1024
CHARACTERS = r"[\x20-\x7e]"
VALUE = re.compile(f"{CHARACTERS}{{1,{MAX_LENGTH}}}")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# The parameters of each route with what the OpenAPI document says of them.
CODE = {"scope": f"Space-separated, of {', '.join(settings.SCOPES)}."}
TOKEN = {
    "grant_type": f"`{DEVICE_CODE}` or `{REFRESH_TOKEN}`.",
    "device_code": "",
    "refresh_token": "",
    "scope": "At a refresh: the same scopes or fewer.",
}
REVOKE = {"token": "", "token_type_hint": ""}
CREDENTIALS = {
    "client_id": "Not needed by the first-party desktop application, which sends JSON.",
    "client_secret": "Of a confidential client that does not use HTTP Basic.",
}


class TooLarge(ParseError):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "request_too_large"


def _read_body(stream: IO[bytes]) -> str:
    """Return the body as text. Raises ParseError, TooLarge."""
    try:
        body = stream.read(settings.DEVICE_MAX_BODY_BYTES + 1)
        if len(body) > settings.DEVICE_MAX_BODY_BYTES:
            raise TooLarge
        return body.decode()
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8 text.") from None
    except OSError:  # the client hung up
        raise ParseError("The body is incomplete.") from None


def _refuse_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dictionary. Raises ValueError for a duplicate (RFC 6749 §3.2)."""
    parameters: dict[str, Any] = {}
    for name, value in pairs:
        if name in parameters:
            raise ValueError("A parameter is included more than once.")
        parameters[name] = value
    return parameters


class FormParser(BaseParser):
    """Parses `application/x-www-form-urlencoded` strictly: no bad escapes, no duplicates."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> dict[str, str]:
        body = _read_body(stream)
        if BAD_ESCAPE.search(body):
            raise ParseError("The body holds a bad percent escape.")
        try:
            pairs = parse_qsl(
                body, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
            return _refuse_duplicates(pairs)
        except ValueError:
            raise ParseError("The body is not a form with each parameter once.") from None


class JSONParser(BaseParser):
    """Parses `application/json`: an object whose names are unique."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> dict[str, Any]:
        try:
            parsed = json.loads(_read_body(stream), object_pairs_hook=_refuse_duplicates)
        except (ValueError, RecursionError):
            raise ParseError("The body is not JSON with each name once.") from None
        if not isinstance(parsed, dict):
            raise ParseError("The body is not a JSON object.")
        return parsed


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request.

    `is_first_party` is true for a JSON body that names no client: only the desktop application
    sends it.
    """

    values: dict[str, str]
    is_first_party: bool


def read(request: Request, names: Iterable[str]) -> Parameters:
    """Return the named parameters and the client's credentials.

    Of the Authorization header only Basic is read: no other scheme authenticates a client (RFC 6749
    §2.3.1). The desktop application's interceptor adds an old `Bearer` token to every request.
    Raises InvalidRequest, InvalidClient, ParseError.
    """
    body = request.data
    values = _require_ascii({name: body[name] for name in (*names, *CREDENTIALS) if name in body})
    header = str(request._request.META.get("HTTP_AUTHORIZATION", ""))
    values = _add_basic_credentials(values, header)
    is_json = str(request.content_type).partition(";")[0].strip().lower() == JSONParser.media_type
    is_first_party = is_json and "client_id" not in values
    if is_first_party:
        values["client_id"] = settings.FIRST_PARTY_CLIENT_ID
    return Parameters(values, is_first_party)


def _require_ascii(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that have a value; an empty one counts as absent (RFC 6749 §3.2).

    Raises InvalidRequest for a value that is not printable ASCII or is too long.
    """
    present = {name: value for name, value in given.items() if value not in (None, "")}
    for name, value in present.items():
        if not isinstance(value, str) or not VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The parameter {name} is not a string of printable ASCII of sensible length."
            )
    return present


def _add_basic_credentials(values: dict[str, str], header: str) -> dict[str, str]:
    """Add the credentials of HTTP Basic, where oauthlib looks for them (RFC 6749 §2.3.1).

    Raises InvalidRequest if the body contains a secret or another client too.
    """
    basic = _read_basic_credentials(header)
    if not basic:
        return values
    if (
        "client_secret" in values
        or values.get("client_id", basic["client_id"]) != basic["client_id"]
    ):
        raise InvalidRequest("The client identifies itself in two ways.")
    return values | basic


def _read_basic_credentials(header: str) -> dict[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, client_secret = (
            unquote_plus(part, errors="strict") for part in decoded.split(":", 1)
        )
        credentials = _require_ascii({"client_id": client_id, "client_secret": client_secret})
    except (ValueError, InvalidRequest):
        raise InvalidClient from None
    if "client_id" not in credentials:
        raise InvalidClient
    return credentials


def read_scope(request: Request, *, is_first_party: bool) -> str | None:
    """Return the requested scopes of a `scopes` list, space-separated; None if it names none.

    The desktop application sends that list. Its unknown scopes are dropped if at least one is
    known. Raises InvalidRequest.
    """
    given = request.data.get("scopes")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise InvalidRequest("scopes is not a list of strings.")
    if given and not VALUE.fullmatch(" ".join(given)):
        raise InvalidRequest("scopes is not a list of short strings of printable ASCII.")
    names = " ".join(given).split()
    known = [name for name in names if name in settings.SCOPES]
    return " ".join(known if is_first_party and known else names) or None
