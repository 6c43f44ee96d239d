"""Who calls the gateway: a token or key, a browser session, or the backend with the static token (api.md §3, §5)."""

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
    """`caller` is None only for the static token; `charged` is False where such calls are free."""

    caller: Caller | None
    charged: bool

    @property
    def user(self) -> User | None:
        return self.caller.user if self.caller else None

    @property
    def only_models(self) -> list[str]:
        """The models that the API key is limited to; empty for no such limit."""
        return self.caller.key.allowed_models if self.caller and self.caller.key else []


def authenticate(request: HttpRequest) -> GatewayCaller:
    """The caller of this request. Raises Unauthorized, InsufficientScope, UserNotFound, CsrfFailed."""
    token = read_bearer_token(request)
    if token is None:
        return _session(request)
    static = settings.SMARTSPEC_WEB_GATEWAY_TOKEN
    if static and hmac.compare_digest(token.encode(), static.encode()):
        return _backend(request)
    return GatewayCaller(_bearer(token), charged=True)


@dataclass(frozen=True, slots=True)
class Presented:
    """What came with a request that wants a completion; the statement that admits it says whose it is.

    One of `checksum` (of a token, or of a key if `is_key`) and `user` (of a browser's session), neither for the
    backend with its own token. With `speaks_for`, the checksum is that of the user's token that the backend sent.
    `like_a_key` is what begins as one, whatever it is.
    `account` is whose checksum it was a moment ago, 0 if nobody's: good for an order, not for an answer.
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
    """Checksums that were good a moment ago: their requests are worth reading. What they may is asked each time."""

    def __init__(self, most: int = 10_000, seconds: float = 60) -> None:
        self.most, self.seconds = most, seconds
        self._users: dict[str, tuple[float, int]] = {}

    def get(self, checksum: str) -> int:
        """The user; 0 for nobody."""
        until, user = self._users.get(checksum, (0, 0))
        return user if until > time.monotonic() else 0

    def add(self, checksum: str, user: int) -> None:
        if len(self._users) >= self.most and checksum not in self._users:
            self._users.clear()
        self._users[checksum] = time.monotonic() + self.seconds, user


_known = _Known()


def remember(caller: Presented, user: int) -> None:
    """The database has just said that the checksum is this user's."""
    if caller.checksum:
        _known.add(caller.checksum, user)


def present(request: HttpRequest) -> Presented:
    """Who says they call. Raises what `authenticate` raises, as far as no question to the database tells."""
    token = read_bearer_token(request)
    if token is None:
        user = _session(request).user
        return Presented(user=user.pk if user else None, account=user.pk if user else 0)
    static = settings.SMARTSPEC_WEB_GATEWAY_TOKEN
    if static and hmac.compare_digest(token.encode(), static.encode()):
        if settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC:
            return Presented(is_backend=True)
        return _speaking_for(_users_token(request))
    return _credential(token)


def _credential(token: str) -> Presented:
    if not B64TOKEN.match(token):
        raise Unauthorized(build_refusal(token).description)
    sum_of = checksum(token)
    return Presented(
        sum_of,
        is_key=is_key(token),
        like_a_key=token.startswith(KEY_PREFIX),
        account=_known.get(sum_of),
    )


def _speaking_for(token: str) -> Presented:
    try:
        return replace(_credential(token), speaks_for=True)
    except Unauthorized as refusal:
        raise UserNotFound(refusal.message) from None


def _bearer(token: str) -> Caller:
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


def _backend(request: HttpRequest) -> GatewayCaller:
    """The Python backend without a user of its own; the user it speaks for pays, if it names one."""
    if settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC:
        return GatewayCaller(None, charged=False)
    return GatewayCaller(_backend_bearer(_users_token(request)), charged=True)


def _users_token(request: HttpRequest) -> str:
    token: str = request.META.get(_USER_TOKEN, "").removeprefix("Bearer ").strip()
    if not token:
        raise UserNotFound(
            _(
                "Send the token of the user in x-user-token, because this call must be "
                "charged to a user."
            )
        )
    return token


def _backend_bearer(token: str) -> Caller:
    try:
        return _bearer(token)
    except Unauthorized as refusal:
        raise UserNotFound(refusal.message) from None


def _session(request: HttpRequest) -> GatewayCaller:
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


def _exempt_from_nothing(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _enforce_csrf(request: HttpRequest) -> None:
    check = _CsrfCheck(_exempt_from_nothing)
    check.process_request(request)
    check.process_view(request, _exempt_from_nothing, (), {})
