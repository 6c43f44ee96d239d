"""The WSGI application that gunicorn serves. It does not start if a system check fails."""

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

import gevent
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpRequest
from django.urls import ResolverMatch, resolve
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
django_application = get_wsgi_application()
from accounts.toolbox import headers  # noqa: E402 – Django has to be set up
from credits.stripe_api import client as stripe_client  # noqa: E402
from llmproxy.completion import late_settlements  # noqa: E402
from llmproxy.urls import METERED  # noqa: E402
from smartspec import middleware  # noqa: E402
from smartspec.middleware import EarlyRefusal  # noqa: E402
from smartspec.postgresql.connecting import ReportedConnection  # noqa: E402
from smartspec.postgresql.options import SILENCE_SECONDS  # noqa: E402

try:
    call_command("check", stdout=StringIO(), stderr=StringIO())
except SystemCheckError as problems:
    sys.stderr.write(f"{problems}\n")
    raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None
late_settlements.watch()
stripe_client.load()
ReportedConnection.silence_seconds = SILENCE_SECONDS

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
        whole, settings.MIDDLEWARE = settings.MIDDLEWARE, settings.GATEWAY_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = whole
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


TRANSFER_CODING = "HTTP_TRANSFER_ENCODING"
PIECE_BYTES = 64 * 1024
MOST_DISCARDED = 32 * 1024 * 1024


def _refuse_early(environ: dict[str, Any]) -> EarlyRefusal | None:
    """Return why a request is refused before Django sees it. Reads the body first in every case.

    A client or proxy that still sends loses the response when the connection is closed (RFC 9112
    §9.6), and gunicorn itself reads no more than 64 KiB of what is left.
    """
    is_chunked = TRANSFER_CODING in environ and "gunicorn.socket" in environ
    receive = _receive_chunks if is_chunked else _receive
    return receive(environ) or _refuse_head(environ)


def _refuse_head(environ: dict[str, Any]) -> EarlyRefusal | None:
    charset = CHARSET.search(environ.get("CONTENT_TYPE", ""))
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        # Django decodes with any codec that is named, even base64, before a middleware runs.
        return middleware.NOT_UTF_8
    if "gunicorn.socket" not in environ:
        return None
    if environ["SERVER_PROTOCOL"] == "HTTP/1.1" and "HTTP_HOST" not in environ:
        return middleware.NO_HOST  # RFC 9112 §3.2
    is_metered_post = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in METERED
    return middleware.NO_LENGTH if is_metered_post and "CONTENT_LENGTH" not in environ else None


def _receive(environ: dict[str, Any]) -> EarlyRefusal | None:
    """Read the body before the request is processed, for at most REQUEST_BODY_SECONDS.

    gunicorn limits the time of the headers by `keepalive`, but not that of the body. A body that is
    too long is discarded.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isdecimal() and len(length) < 16 and int(length)):
        return None
    if int(length) > settings.WEB_LLM_MAX_BODY_BYTES:
        return _discard(environ)
    body = _within_time(partial(environ["wsgi.input"].read, int(length)))
    if isinstance(body, EarlyRefusal):
        return body
    environ["wsgi.input"] = BytesIO(body)
    return None if len(body) == int(length) else middleware.BROKEN_BODY


def _receive_chunks(environ: dict[str, Any]) -> EarlyRefusal | None:
    """Read a body whose length is not known before, and give it one (RFC 9112 §7.1)."""
    if environ[TRANSFER_CODING].strip().lower() != "chunked":
        return middleware.UNKNOWN_CODING
    most = settings.WEB_LLM_MAX_BODY_BYTES
    body = _within_time(partial(environ["wsgi.input"].read, most + 1))
    if isinstance(body, EarlyRefusal) or len(body) > most:
        refusal = body if isinstance(body, EarlyRefusal) else _discard(environ)
        # Where the next request begins may be unknown now: gunicorn must close the connection.
        environ["wsgi.input"].failed = True
        return refusal
    del environ[TRANSFER_CODING]
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return None


def _discard(environ: dict[str, Any]) -> EarlyRefusal:
    """Read the rest of a body that is too long, up to MOST_DISCARDED bytes, and refuse it."""
    rest = environ["wsgi.input"]

    def read() -> bytes:
        pieces = iter(lambda: rest.read(PIECE_BYTES), b"")
        deque(islice(pieces, MOST_DISCARDED // PIECE_BYTES), maxlen=0)
        return b""

    discarded = _within_time(read)
    return discarded if isinstance(discarded, EarlyRefusal) else middleware.TOO_LARGE


def _within_time(read: Callable[[], bytes]) -> bytes | EarlyRefusal:
    """Read from the connection for at most REQUEST_BODY_SECONDS."""
    timeout = gevent.Timeout.start_new(settings.REQUEST_BODY_SECONDS)
    try:
        return read()
    except gevent.Timeout as passed:
        if passed is not timeout:
            raise
        return middleware.TOO_SLOW
    except (OSError, ParseException):
        return middleware.BROKEN_BODY
    finally:
        timeout.close()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Receive the request as a whole, which Django cannot do itself; then call Django."""
    if refusal := _refuse_early(environ):
        environ |= {"CONTENT_TYPE": "", middleware.REFUSED_EARLY: refusal}
    try:
        handler = gateway if gateway.serves(environ) else django_application
        return handler(environ, start_response)
    except BaseException:
        # Without a response there is no request_finished, and the connection would never return to
        # the pool.
        connections.close_all()
        raise
