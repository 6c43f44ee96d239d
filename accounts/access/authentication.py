"""Who is calling: an access token or an API key, looked up by its hash in one indexed statement.

Whose a hash is says accounts/database/sql/1_credentials.sql, here and where a completion is admitted.

The same lookup serves Django REST framework and the plain gateway views.
Source: RFC 6750; the token table is django-oauth-toolkit's, with hashed storage.
"""

import re
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
from accounts.toolbox.digests import checksum

B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,512}=*\Z")  # RFC 6750 §2.1, bounded
CHALLENGE = 'Bearer realm="smartspec"'


class InvalidToken(Exception):
    """A bearer token is present but malformed, unknown, expired or of an inactive user."""

    @property
    def description(self) -> str:
        return _("The access token is missing, expired or revoked.")


class InvalidKey(InvalidToken):
    """The same, of what begins as an API key does; cut short it is still taken for one."""

    @property
    def description(self) -> str:
        return _(
            "This API key is unknown, expired or revoked. Check that it is complete, or create one at %(page)s."
        ) % {"page": f"{settings.PUBLIC_ORIGIN}/account/keys"}


@dataclass(frozen=True, slots=True)
class Caller:
    """A user and how they called: by an access token, by an API key, or, with neither, in a browser.

    `family` is the token's, which stays the same however often its device refreshes meanwhile.
    """

    user: User
    scopes: frozenset[str]
    token: AccessToken | None = None
    key: ApiKey | None = None
    family: UUID | None = None


def bearer_token(request: HttpRequest) -> str | None:
    """The raw token of the Authorization header, else of `x-api-key`, which Anthropic's clients send; None without."""
    scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.META.get("HTTP_X_API_KEY")


def identify(token: str) -> Caller:
    """The caller this access token or API key stands for. Raises InvalidToken, InvalidKey."""
    caller = None
    if B64TOKEN.match(token):
        caller = _by_key(token) if api_keys.is_key(token) else _by_token(token)
    if caller is None:
        raise refused(token)
    return caller


def refused(token: str) -> InvalidToken:
    """What is to be said of a token that opens nothing."""
    return InvalidKey() if token.startswith(api_keys.PREFIX) else InvalidToken()


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


def signed_in(request: HttpRequest) -> User:
    """The user of a page that only a logged-in browser reaches."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer …` for Django REST framework; `request.auth` is the row of the token or key."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken | ApiKey | None] | None:
        token = bearer_token(request._request)
        if token is None:
            return None
        try:
            caller = identify(token)
        except InvalidToken as refusal:
            raise AuthenticationFailed(refusal.description, code="invalid_token") from None
        return caller.user, caller.token or caller.key

    def authenticate_header(self, request: Request) -> str:
        present = bearer_token(request._request) is not None
        return f'{CHALLENGE}, error="invalid_token"' if present else CHALLENGE
