"""The OAuth server: oauthlib's endpoints with the two grants that exist here.

Sources: RFC 6749, RFC 7009, RFC 8628.
"""

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
    """Issues tokens for a device code or a refresh token, and revokes them.

    It has no other grant.
    """

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
        # An unknown grant type goes to the default grant, which answers `unsupported_grant_type`.
        TokenEndpoint.__init__(self, DEVICE_CODE, bearer, grants)
        RevocationEndpoint.__init__(self, request_validator)


@dataclass(frozen=True, slots=True)
class OAuthResponse:
    """A response of oauthlib. `body` is JSON; `headers` are those that the view has to send."""

    status: int
    body: str
    headers: dict[str, str]


def validate_device_request(
    parameters: Mapping[str, str], path: str
) -> tuple[Application, list[str]]:
    """Return the client and scopes of a request for a device code (RFC 8628 §3.1).

    Raises OAuth2Error.
    """
    grant: Any = DeviceCodeGrant(_build_validator(UNKNOWN))
    request: Any = Request(path, "POST", urlencode(parameters.items()), HEADERS)
    grant.validate_device_authorization_request(request)
    request.grant_type = DEVICE_CODE
    grant.validate_grant_type(request)
    return request.client, list(dict.fromkeys(request.scopes))


def answer_token_request(parameters: Mapping[str, str], path: str, source: Source) -> OAuthResponse:
    """Return the response of the token endpoint (RFC 6749 §5). Raises OAuth2Error."""
    body = urlencode(parameters.items())
    headers, answer, status = _build_server(source).create_token_response(
        path, "POST", body, HEADERS
    )
    return OAuthResponse(status, answer, _select_headers(headers))


def answer_revocation_request(
    parameters: Mapping[str, str], path: str, source: Source
) -> OAuthResponse:
    """Return the response of the revocation endpoint (RFC 7009 §2.2).

    oauthlib leaves the body of a success empty; it is `{}` here.
    """
    body = urlencode(parameters.items())
    headers, answer, status = _build_server(source).create_revocation_response(
        path, "POST", body, HEADERS
    )
    return OAuthResponse(status, answer or "{}", _select_headers(headers))


def _select_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers to send. The views set the content type and Cache-Control themselves."""
    return {name: value for name, value in headers.items() if name == "Retry-After"}


def _build_server(source: Source) -> Server:
    server: Server = oauth2_settings.OAUTH2_SERVER_CLASS(
        _build_validator(source), **oauth2_settings.server_kwargs
    )
    return server


def _build_validator(source: Source) -> Any:
    return oauth2_settings.OAUTH2_VALIDATOR_CLASS(source)
