"""The WSGI application that gunicorn serves. It does not start if a system check fails."""

import json
import os
import re
from collections.abc import Callable, Iterable
from io import BytesIO, StringIO
from typing import Any

import gevent
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpRequest
from django.urls import ResolverMatch, resolve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
django_application = get_wsgi_application()
from accounts.toolbox import headers  # noqa: E402 – Django has to be set up
from accounts.toolbox.errors import build_envelope  # noqa: E402
from llmproxy.urls import METERED  # noqa: E402
from smartspec.middleware import NOT_UTF_8  # noqa: E402

call_command("check", stdout=StringIO(), stderr=StringIO())

if failpoint := os.environ.get("SMARTSPEC_FAILPOINT"):
    from smartspec.drill.failpoints import FAILPOINTS

    FAILPOINTS[failpoint].arm()


API_KEY = headers.wsgi_name(headers.API_KEY)


class GatewayHandler(WSGIHandler):
    """Django for the completions of programs only.

    It knows the paths in METERED, and runs without the middleware that serves browsers.
    """

    matches: dict[str, ResolverMatch]

    # The boolean argument is part of Django's signature.
    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002
        middleware, settings.MIDDLEWARE = settings.MIDDLEWARE, settings.GATEWAY_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = middleware
        self.matches = {path: resolve(path) for path in METERED}

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        request.resolver_match = self.matches[request.path_info]
        return request.resolver_match

    def serves(self, environ: dict[str, Any]) -> bool:
        """True if the request has a bearer token or API key, and its path is metered."""
        bearer = environ.get("HTTP_AUTHORIZATION", "")[:7].lower() == "bearer "
        return (bearer or API_KEY in environ) and environ.get("PATH_INFO") in self.matches


gateway = GatewayHandler()
CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


TOO_SLOW = json.dumps(
    build_envelope(408, "The body did not come in time.", "request_timeout")
).encode()


def _receive(environ: dict[str, Any]) -> bool:
    """Read the body before the request is processed; False if it takes over REQUEST_BODY_SECONDS.

    gunicorn limits the time of the headers by `keepalive`, but not that of the body. A body that is
    too long is not read, and is refused later.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (
        length.isdecimal()
        and len(length) < 16
        and 0 < int(length) <= settings.WEB_LLM_MAX_BODY_BYTES
    ):
        return True
    timeout = gevent.Timeout.start_new(settings.REQUEST_BODY_SECONDS)
    try:
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(length)))
    except gevent.Timeout as passed:
        if passed is not timeout:
            raise
        return False
    finally:
        timeout.close()
    return True


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Check the charset and receive the body, which Django cannot do itself; then call Django."""
    charset = CHARSET.search(environ.get("CONTENT_TYPE", ""))
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        # Django decodes with any codec that is named, even base64, before a middleware runs.
        environ |= {"CONTENT_TYPE": "", NOT_UTF_8: True}
    if not _receive(environ):
        start_response("408 Request Timeout", [("Content-Type", "application/json")])
        return [TOO_SLOW]
    try:
        handler = gateway if gateway.serves(environ) else django_application
        return handler(environ, start_response)
    except BaseException:
        # Without a response there is no request_finished, and the connection would never return to
        # the pool.
        connections.close_all()
        raise
