"""Where to go next: which addresses `next` may name, and the one a browser is on its way to.

An address is remembered in a cookie, because a person on the way to it may sign up, follow a mail,
choose a new password and log in before they arrive.
"""

import re
import unicodedata
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

MAX_LENGTH = 2000  # characters
COOKIE = "on_the_way_to"
SALT = "accounts.return_address"
REMEMBERED_SECONDS = 30 * 60
ENTRANCE = "/accounts/"  # log-in, sign-up and password pages, which are on the way, never its end


def resolve_address(typed: object) -> str | None:
    """Return a `next` of a request as a path of this site; None for every other address.

    A path begins with one slash. An absolute address has the scheme, host and port of PUBLIC_ORIGIN
    and no user. Backslashes, control characters and spaces are refused, and paths that name another
    host once they are decoded: browsers and proxies read them in different ways (WHATWG URL
    §4.4).
    """
    if not isinstance(typed, str) or not 0 < len(typed) <= MAX_LENGTH or not _is_plain(typed):
        return None
    if typed.startswith("//"):
        return None
    try:
        parts = urlsplit(typed)
        if (parts.scheme or parts.netloc) and not _is_public(parts):
            return None
    except ValueError:  # a malformed port or IPv6 address
        return None
    if not parts.path.startswith("/") or _names_a_host(parts.path):
        return None
    return parts._replace(scheme="", netloc="").geturl()


def _is_plain(text: str) -> bool:
    return "\\" not in text and not any(unicodedata.category(each)[0] in "CZ" for each in text)


def _is_public(parts: SplitResult) -> bool:
    public = urlsplit(settings.PUBLIC_ORIGIN)
    default = {"http": 80, "https": 443}
    return (
        bool(public.hostname)
        and "@" not in parts.netloc
        and (parts.scheme, parts.hostname) == (public.scheme, public.hostname)
        and (parts.port or default.get(parts.scheme)) == (public.port or default[public.scheme])
    )


def _names_a_host(path: str) -> bool:
    """Return whether some reader takes the path, decoded as often as it can be, for a host."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return bool(re.search(r"//|\\", path)) or not _is_plain(path.replace(" ", ""))


def remember_address(request: HttpRequest, response: HttpResponseBase) -> None:
    """Store the `next` of a page of log-in or sign-up in the browser."""
    address = resolve_address(request.GET.get("next"))
    if address and not address.startswith(ENTRANCE):
        response.set_cookie(
            COOKIE,
            signing.dumps(address, salt=SALT),
            max_age=REMEMBERED_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def recall_address(request: HttpRequest) -> str | None:
    """Return the address that the browser is on its way to; None if there is none."""
    try:
        stored = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=REMEMBERED_SECONDS
        )
    except signing.BadSignature:
        return None
    return resolve_address(stored)
