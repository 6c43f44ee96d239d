"""The callers of the gateway, and how they authenticate (api.md §3, §5).

A caller has an access token, an API key or a browser session. The Python backend has a static
token.
"""

import hmac
import time
from dataclasses import dataclass, replace

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext as _

from accounts.access.authentication import (
    Caller,
    InvalidToken,
    build_refusal,
    identify,
)
from accounts.models import User
from accounts.toolbox import headers
from accounts.toolbox.credentials import B64TOKEN, KEY_PREFIX, checksum, is_key, read_bearer_token
from llmproxy.exceptions import (
    CsrfFailed,
    InsufficientScope,
    MissingCredentials,
    Unauthorized,
    UserNotFound,
)

SCOPE = "llm:chat"
_USER_TOKEN = headers.wsgi_name(headers.USER_TOKEN)


@dataclass(frozen=True, slots=True)
class GatewayCaller:
    """`caller` is None only for the static token, `charged` False only if its calls are free."""

    caller: Caller | None
    charged: bool

    @property
    def user(self) -> User | None:
        return self.caller.user if self.caller else None

    @property
    def only_models(self) -> list[str]:
        """The models that the API key may use; empty if it may use all models of the plan."""
        return self.caller.key.allowed_models if self.caller and self.caller.key else []


def authenticate(request: HttpRequest) -> GatewayCaller:
    """Return the caller of this request.

    Raises MissingCredentials, Unauthorized, InsufficientScope, UserNotFound, CsrfFailed.
    """
    token = read_bearer_token(request)
    if token is None:
        return _identify_session(request)
    static = settings.SMARTSPEC_WEB_GATEWAY_TOKEN
    if static and hmac.compare_digest(token.encode(), static.encode()):
        return _identify_backend(request)
    return GatewayCaller(_identify_bearer(token), charged=True)


@dataclass(slots=True)
class PresentedCaller:
    """The credentials in a request for a completion. The admitting statement looks up their owner.

    * `checksum`: that of an access token, or of an API key if `is_key` is True.
    * `user`: id of the user of a browser session. The backend with its own token has neither.
    * `speaks_for`: the checksum is that of the user's token which the backend sent.
    * `like_a_key`: the token begins with the prefix of API keys, whether it is one or not.
    * `account`: id of the user whom this checksum belonged to when last seen, 0 if unknown. It may
      be stale: use it only to order locks.
    """

    checksum: str = ""
    is_key: bool = False
    like_a_key: bool = False
    user: int | None = None
    is_backend: bool = False
    speaks_for: bool = False
    account: int = 0

    @property
    def is_known(self) -> bool:
        return self.is_backend or self.account > 0


class _Known:
    """Checksums that were valid in the last minute: long bodies of their requests are parsed.

    The database still decides about every request.
    """

    def __init__(self, most: int = 10_000, seconds: float = 60) -> None:
        self.most, self.seconds = most, seconds
        self._users: dict[str, tuple[float, int]] = {}

    def get(self, checksum: str) -> int:
        """Return the id of the user; 0 if the checksum is unknown or too old."""
        until, user = self._users.get(checksum, (0, 0))
        return user if until > time.monotonic() else 0

    def add(self, checksum: str, user: int) -> None:
        if len(self._users) >= self.most and checksum not in self._users:
            self._users.clear()
        self._users[checksum] = time.monotonic() + self.seconds, user


_known = _Known()


def remember(caller: PresentedCaller, user: int) -> None:
    """Remember that the database has just found this user to be the owner of the checksum."""
    if caller.checksum:
        _known.add(caller.checksum, user)


def read_caller(request: HttpRequest) -> PresentedCaller:
    """Return the credentials of this request, without a query for the owner of a token.

    Raises what `authenticate` raises, as far as that needs no query.
    """
    token = read_bearer_token(request)
    if token is None:
        user = _identify_session(request).user
        return PresentedCaller(user=user.pk if user else None, account=user.pk if user else 0)
    static = settings.SMARTSPEC_WEB_GATEWAY_TOKEN
    if static and hmac.compare_digest(token.encode(), static.encode()):
        if settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC:
            return PresentedCaller(is_backend=True)
        return _present_backend_user(_read_user_token(request))
    return _present_token(token)


def _present_token(token: str) -> PresentedCaller:
    if not B64TOKEN.match(token):
        raise Unauthorized(build_refusal(token).description)
    token_checksum = checksum(token)
    return PresentedCaller(
        token_checksum,
        is_key=is_key(token),
        like_a_key=token.startswith(KEY_PREFIX),
        account=_known.get(token_checksum),
    )


def _present_backend_user(token: str) -> PresentedCaller:
    try:
        return replace(_present_token(token), speaks_for=True)
    except Unauthorized as refusal:
        raise UserNotFound(refusal.message) from None


def _identify_bearer(token: str) -> Caller:
    try:
        caller = identify(token)
    except InvalidToken as refusal:
        raise Unauthorized(refusal.description) from None
    if SCOPE not in caller.scopes:
        raise insufficient_scope()
    return caller


def insufficient_scope() -> InsufficientScope:
    return InsufficientScope(
        _("This token cannot use language models. It needs the scope llm:chat.")
    )


def _identify_backend(request: HttpRequest) -> GatewayCaller:
    """Return the backend as a caller: free, or charged to the user whose token it sent."""
    if settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC:
        return GatewayCaller(None, charged=False)
    return GatewayCaller(_identify_backend_user(_read_user_token(request)), charged=True)


def _read_user_token(request: HttpRequest) -> str:
    token: str = request.META.get(_USER_TOKEN, "").removeprefix("Bearer ").strip()
    if not token:
        raise UserNotFound(
            _(
                "Send the token of the user in x-user-token, because this call must be "
                "charged to a user."
            )
        )
    return token


def _identify_backend_user(token: str) -> Caller:
    try:
        return _identify_bearer(token)
    except Unauthorized as refusal:
        raise UserNotFound(refusal.message) from None


def _identify_session(request: HttpRequest) -> GatewayCaller:
    user = request.user
    if not isinstance(user, User):
        raise MissingCredentials(
            _("Send an access token or an API key in the Authorization header.")
        )
    if request.method not in ("GET", "HEAD"):
        _enforce_csrf(request)
    return GatewayCaller(Caller(user, frozenset({SCOPE})), charged=True)


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        raise CsrfFailed(_("Send the CSRF token of this session in X-CSRFToken."))


def _protected_view(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _enforce_csrf(request: HttpRequest) -> None:
    check = _CsrfCheck(_protected_view)
    check.process_request(request)
    check.process_view(request, _protected_view, (), {})
