"""The WSGI application that gunicorn serves. It does not start with settings that the checks refuse."""

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
    """Django for programs' completions alone: known addresses, and none of what serves browsers."""

    matches: dict[str, ResolverMatch]

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 – Django's signature
        every, settings.MIDDLEWARE = settings.MIDDLEWARE, settings.GATEWAY_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = every
        self.matches = {path: resolve(path) for path in METERED}

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        request.resolver_match = self.matches[request.path_info]
        return request.resolver_match

    def serves(self, environ: dict[str, Any]) -> bool:
        """Whether a request is its own: the others have a session, or an address that is not metered."""
        bearer = environ.get("HTTP_AUTHORIZATION", "")[:7].lower() == "bearer "
        return (bearer or API_KEY in environ) and environ.get("PATH_INFO") in self.matches


gateway = GatewayHandler()
CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


TOO_SLOW = json.dumps(
    build_envelope(408, "The body did not come in time.", "request_timeout")
).encode()


def _receive(environ: dict[str, Any]) -> bool:
    """Have the body before anything is done for the request; False for one that comes too slowly.

    gunicorn gives headers `keepalive` seconds, and a body all the time in the world. What is too long is refused
    unread.
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
    """Django, behind the two things that it cannot do for itself."""
    charset = CHARSET.search(environ.get("CONTENT_TYPE", ""))
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        # Django decodes with whatever codec is named, base64 included, before any middleware runs.
        environ |= {"CONTENT_TYPE": "", NOT_UTF_8: True}
    if not _receive(environ):
        start_response("408 Request Timeout", [("Content-Type", "application/json")])
        return [TOO_SLOW]
    try:
        handler = gateway if gateway.serves(environ) else django_application
        return handler(environ, start_response)
    except BaseException:
        # Without an answer there is no request_finished, and the pool would miss its connection for ever.
        connections.close_all()
        raise
