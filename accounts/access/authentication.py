"""Bearer authentication (RFC 6750): finds the caller of an access token or an API key.

Tokens and keys are looked up by their digest, in one indexed statement. Which account a digest
belongs to is decided in accounts/database/sql/1_credentials.sql, here and at the admission of a
completion. Django REST framework and the plain views of the gateway share this lookup. Access
tokens are rows of django-oauth-toolkit.
"""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.translation import gettext as _
from oauth2_provider.models import AccessToken
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.access import api_keys
from accounts.models import ApiKey, User
from accounts.toolbox.credentials import B64TOKEN, KEY_PREFIX, checksum, is_key, read_bearer_token

CHALLENGE = 'Bearer realm="smartspec"'


class InvalidToken(Exception):
    """The bearer token is malformed, unknown or expired, or its user is inactive."""

    @property
    def description(self) -> str:
        return _("The access token is missing, expired or revoked.")


class InvalidKey(InvalidToken):
    """The same for a bearer token that begins like an API key, even if it is incomplete."""

    @property
    def description(self) -> str:
        return _(
            "This API key is unknown, expired or revoked. Check that it is complete, or create one "
            "at %(page)s."
        ) % {"page": f"{settings.PUBLIC_ORIGIN}/account/access"}


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, and the access token or API key that identified them; neither for a browser session.

    `family` is the token family of the access token. It stays the same when the device refreshes.
    """

    user: User
    scopes: frozenset[str]
    token: AccessToken | None = None
    key: ApiKey | None = None
    family: UUID | None = None


def identify(token: str) -> Caller:
    """Return the caller of an access token or API key. Raises InvalidToken, InvalidKey."""
    caller = None
    if B64TOKEN.match(token):
        caller = _by_key(token) if is_key(token) else _by_token(token)
    if caller is None:
        raise build_refusal(token)
    return caller


def build_refusal(token: str) -> InvalidToken:
    """Return the exception for a token or key that was not accepted."""
    return InvalidKey() if token.startswith(KEY_PREFIX) else InvalidToken()


def _by_key(plain: str) -> Caller | None:
    key = ApiKey.objects.opened_by(checksum(plain)).first()
    if key is None:
        return None
    api_keys.note_use(key=key)
    return Caller(user=key.user, scopes=api_keys.SCOPES, key=key)


def _by_token(token: str) -> Caller | None:
    found = (
        AccessToken.objects.select_related("user__plan", "refresh_token")
        .filter(
            pk=RawSQL("(SELECT token FROM accounts_credential_owner(%s, false))", [checksum(token)])
        )
        .defer("user__password", "token", "application", "id_token", "refresh_token__token")
        .first()
    )
    if found is None or found.user is None:
        return None
    refresh_token = getattr(found, "refresh_token", None)
    family = refresh_token.token_family if refresh_token else None
    return Caller(
        user=found.user, scopes=frozenset(found.scope.split()), token=found, family=family
    )


def require_user(request: HttpRequest) -> User:
    """Return the logged-in user of a browser request. Raises PermissionDenied without one."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class BearerAuthentication(BaseAuthentication):
    """Bearer authentication for Django REST framework.

    `request.auth` is the AccessToken or ApiKey.
    """

    def authenticate(self, request: Request) -> tuple[User, AccessToken | ApiKey | None] | None:
        token = read_bearer_token(request._request)
        if token is None:
            return None
        try:
            caller = identify(token)
        except InvalidToken as refusal:
            raise AuthenticationFailed(refusal.description, code="invalid_token") from None
        return caller.user, caller.token or caller.key

    def authenticate_header(self, request: Request) -> str:
        present = read_bearer_token(request._request) is not None
        return f'{CHALLENGE}, error="invalid_token"' if present else CHALLENGE
