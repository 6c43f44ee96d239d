"""Answers requests that came without TLS, or that a proxy in front passes on as if they had.

A page is redirected to https. A request of a program, and every request that sends something, is
refused: its token, key or password has crossed the network in clear text by then, and a redirect
would hide that. Source: RFC 6750 §5.3.
"""

import logging
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.security import SecurityMiddleware
from django.utils.translation import gettext as _

from accounts.toolbox import headers
from smartspec.middleware import find_dialect

# A browser accepts a cookie with this prefix from https only. If it comes back with a request that
# seems to be http, the proxy has not said that the browser uses https (RFC 6265bis §4.1.3.1).
REDIRECTED = "__Secure-redirected"
SECONDS = 60  # for which the browser keeps it, and between two lines in the log
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROTO = headers.wsgi_name(headers.FORWARDED_PROTO)
_FORWARDED = (_PROTO, headers.wsgi_name(headers.FORWARDED_FOR), "HTTP_FORWARDED", "HTTP_VIA")
_CREDENTIALS = ("HTTP_AUTHORIZATION", headers.wsgi_name(headers.API_KEY))
logger = logging.getLogger(__name__)


def find_proxy_problem(request: HttpRequest) -> str:
    """Say what the proxy in front has to send; empty if nothing is wrong with this request."""
    if not settings.HTTPS or request.is_secure():
        return ""
    proto = request.META.get(_PROTO)
    if settings.TRUSTED_PROXIES and proto is None:
        return _(
            "The proxy in front of this site has to send the header X-Forwarded-Proto with the "
            "scheme of the request, and this request came without it. In nginx: proxy_set_header "
            "X-Forwarded-Proto $scheme;"
        )
    if settings.TRUSTED_PROXIES and (proto != "http" or REDIRECTED in request.COOKIES):
        text = _(
            "The proxy in front of this site sends the header X-Forwarded-Proto: %(proto)s. It has "
            "to be the scheme that the browser uses, https or http."
        )
        return text % {"proto": (proto or "")[:40]}
    if not settings.TRUSTED_PROXIES and (
        REDIRECTED in request.COOKIES or any(name in request.META for name in _FORWARDED)
    ):
        return _(
            "A proxy is in front of this site, but its headers are not read. Set TRUSTED_PROXIES "
            "to the number of proxies, and let the proxy send X-Forwarded-Proto with the scheme "
            "of the request."
        )
    return ""


class RefusePlainHttp(SecurityMiddleware):
    """Django's SecurityMiddleware, with answers that say why instead of redirects in a circle."""

    logged_at = -float(SECONDS)

    def process_request(  # type: ignore[override]
        self, request: HttpRequest
    ) -> HttpResponseBase | None:
        if not self.redirect or request.is_secure():
            return None
        if any(pattern.search(request.path.lstrip("/")) for pattern in self.redirect_exempt):
            return None
        if problem := find_proxy_problem(request):
            self._log(problem)
            return _refuse(request, problem, "proxy_misconfigured")
        if request.method not in SAFE or any(name in request.META for name in _CREDENTIALS):
            return _refuse(
                request,
                _(
                    "Use https. This request came over http, where others can read what it "
                    "carries. Replace a key, token or password that it contained."
                ),
                "https_required",
            )
        return self._redirect(request)

    def _redirect(self, request: HttpRequest) -> HttpResponseBase | None:
        response = super().process_request(request)
        if response is not None:
            # A browser would keep a permanent redirect, also after the proxy has been corrected.
            response["Cache-Control"] = "no-store"
            response.set_cookie(
                REDIRECTED, "1", max_age=SECONDS, secure=True, httponly=True, samesite="Lax"
            )
        return response

    def _log(self, problem: str) -> None:
        """Write the problem to the log, at most once in SECONDS."""
        if time.monotonic() - self.logged_at >= SECONDS:
            self.logged_at = time.monotonic()
            logger.error("Requests seem to come over http. %s", problem)


def _refuse(request: HttpRequest, message: str, code: str) -> HttpResponse:
    response = find_dialect(request).answer(400, message, code)
    response["Cache-Control"] = "no-store"
    return response
