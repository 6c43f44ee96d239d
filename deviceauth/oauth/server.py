"""The protocol engine: oauthlib's endpoints with the two grants that exist here (RFC 6749, 7009, 8628)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oauth2_provider.models import Application
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request, urlencode
from oauthlib.oauth2 import BearerToken, RefreshTokenGrant, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant

from accounts.toolbox.request_source import UNKNOWN, Source

DEVICE_CODE = Application.GRANT_DEVICE_CODE
REFRESH_TOKEN = "refresh_token"  # noqa: S105 – a grant type
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class Server(TokenEndpoint, RevocationEndpoint):
    """Tokens for a device code or a refresh token, and their revocation; nothing else is a grant."""

    def __init__(
        self,
        request_validator: Any,
        token_expires_in: Any = None,
        token_generator: Any = None,
        refresh_token_generator: Any = None,
        **_settings: Any,
    ) -> None:
        device_code = DeviceCodeGrant(request_validator)
        bearer: Any = BearerToken(
            request_validator, token_generator, token_expires_in, refresh_token_generator
        )
        grants = {DEVICE_CODE: device_code, REFRESH_TOKEN: RefreshTokenGrant(request_validator)}
        # What is no grant goes to the default one, which answers `unsupported_grant_type`.
        TokenEndpoint.__init__(self, DEVICE_CODE, bearer, grants)
        RevocationEndpoint.__init__(self, request_validator)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is JSON; `headers` are those that the answer of this kind needs."""

    status: int
    body: str
    headers: dict[str, str]


def device_client(parameters: Mapping[str, str], path: str) -> tuple[Application, list[str]]:
    """Who asks for a device code, and for which scopes (RFC 8628 §3.1). Raises OAuth2Error."""
    grant: Any = DeviceCodeGrant(_validator(UNKNOWN))
    request: Any = Request(path, "POST", urlencode(parameters.items()), HEADERS)
    grant.validate_device_authorization_request(request)
    request.grant_type = DEVICE_CODE
    grant.validate_grant_type(request)
    return request.client, list(dict.fromkeys(request.scopes))


def tokens(parameters: Mapping[str, str], path: str, source: Source) -> Answer:
    """The token endpoint's answer (RFC 6749 §5). Raises OAuth2Error."""
    body = urlencode(parameters.items())
    headers, answer, status = _server(source).create_token_response(path, "POST", body, HEADERS)
    return Answer(status, answer, _kept(headers))


def revocation(parameters: Mapping[str, str], path: str, source: Source) -> Answer:
    """The revocation endpoint's answer (RFC 7009 §2.2); oauthlib leaves the body of a success empty."""
    body = urlencode(parameters.items())
    headers, answer, status = _server(source).create_revocation_response(
        path, "POST", body, HEADERS
    )
    return Answer(status, answer or "{}", _kept(headers))


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The views say themselves what type their answers have and that nobody may store them."""
    return {name: value for name, value in headers.items() if name == "Retry-After"}


def _server(source: Source) -> Server:
    server: Server = oauth2_settings.OAUTH2_SERVER_CLASS(
        _validator(source), **oauth2_settings.server_kwargs
    )
    return server


def _validator(source: Source) -> Any:
    return oauth2_settings.OAUTH2_VALIDATOR_CLASS(source)
