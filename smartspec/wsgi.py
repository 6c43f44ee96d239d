"""The WSGI application that gunicorn serves. It does not start with settings that the checks refuse."""

import os
import re
from collections.abc import Callable, Iterable
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartspec.settings")
django_application = get_wsgi_application()
from smartspec.middleware import NOT_UTF_8  # noqa: E402 – it translates, so Django has to be set up

call_command("check", stdout=StringIO(), stderr=StringIO())

CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, behind the two things that it cannot do for itself."""
    charset = CHARSET.search(environ.get("CONTENT_TYPE", ""))
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        # Django decodes with whatever codec is named, base64 included, before any middleware runs.
        environ |= {"CONTENT_TYPE": "", NOT_UTF_8: True}
    try:
        return django_application(environ, start_response)
    except BaseException:
        # Without an answer there is no request_finished, and the pool would miss its connection for ever.
        connections.close_all()
        raise
