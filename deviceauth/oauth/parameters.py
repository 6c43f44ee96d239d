"""What a client sent to an OAuth route, from either body type, as one flat set of strings.

RFC 6749 Appendix A allows printable ASCII in every parameter we know, so nothing else gets further.
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


def _read(stream: IO[bytes]) -> str:
    """The body as text. Raises ParseError, TooLarge."""
    try:
        body = stream.read(settings.DEVICE_MAX_BODY_BYTES + 1)
        if len(body) > settings.DEVICE_MAX_BODY_BYTES:
            raise TooLarge
        return body.decode()
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8 text.") from None
    except OSError:  # the client hung up
        raise ParseError("The body is incomplete.") from None


def _without_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 6749 §3.2: parameters must not be included more than once."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("A parameter is included more than once.")
        found[name] = value
    return found


class FormParser(BaseParser):
    """`application/x-www-form-urlencoded`, strictly: no bad escapes, no duplicates."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> dict[str, str]:
        body = _read(stream)
        if BAD_ESCAPE.search(body):
            raise ParseError("The body holds a bad percent escape.")
        try:
            pairs = parse_qsl(
                body, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
            return _without_duplicates(pairs)
        except ValueError:
            raise ParseError("The body is not a form with each parameter once.") from None


class JSONParser(BaseParser):
    """`application/json`, an object whose names are unique."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> dict[str, Any]:
        try:
            parsed = json.loads(_read(stream), object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError):
            raise ParseError("The body is not JSON with each name once.") from None
        if not isinstance(parsed, dict):
            raise ParseError("The body is not a JSON object.")
        return parsed


@dataclass(frozen=True, slots=True)
class Parameters:
    """`is_first_party`: a JSON body that names no client at all comes from the desktop application."""

    values: dict[str, str]
    is_first_party: bool


def read(request: Request, names: Iterable[str]) -> Parameters:
    """The named parameters and the client's credentials. Raises InvalidRequest, InvalidClient, ParseError."""
    body = request.data
    values = _strings({name: body[name] for name in (*names, *CREDENTIALS) if name in body})
    header = str(request._request.META.get("HTTP_AUTHORIZATION", ""))
    values = _with_credentials(values, header)
    is_json = str(request.content_type).partition(";")[0].strip().lower() == JSONParser.media_type
    is_first_party = is_json and not header and "client_id" not in values
    if is_first_party:
        values["client_id"] = settings.FIRST_PARTY_CLIENT_ID
    return Parameters(values, is_first_party)


def _strings(given: Mapping[str, Any]) -> dict[str, str]:
    """Without a value is as good as absent (RFC 6749 §3.2)."""
    present = {name: value for name, value in given.items() if value not in (None, "")}
    for name, value in present.items():
        if not isinstance(value, str) or not VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The parameter {name} is not a string of printable ASCII of sensible length."
            )
    return present


def _with_credentials(values: dict[str, str], header: str) -> dict[str, str]:
    """Credentials from HTTP Basic moved to where oauthlib looks for them (RFC 6749 §2.3.1)."""
    basic = _basic(header)
    if not basic:
        return values
    if (
        "client_secret" in values
        or values.get("client_id", basic["client_id"]) != basic["client_id"]
    ):
        raise InvalidRequest("The client identifies itself in two ways.")
    return values | basic


def _basic(header: str) -> dict[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, client_secret = (
            unquote_plus(part, errors="strict") for part in decoded.split(":", 1)
        )
        found = _strings({"client_id": client_id, "client_secret": client_secret})
    except (ValueError, InvalidRequest):
        raise InvalidClient from None
    if "client_id" not in found:
        raise InvalidClient
    return found


def scope(request: Request, *, is_first_party: bool) -> str | None:
    """The scope a device asks for, space-separated; None if it asks for none.

    The desktop application sends a list in `scopes`, and what it names and we do not know is dropped
    as long as something remains. Raises InvalidRequest.
    """
    given = request.data.get("scopes")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise InvalidRequest("scopes is not a list of strings.")
    if given and not VALUE.fullmatch(" ".join(given)):
        raise InvalidRequest("scopes is not a list of short strings of printable ASCII.")
    asked = " ".join(given).split()
    known = [name for name in asked if name in settings.SCOPES]
    return " ".join(known if is_first_party and known else asked) or None
