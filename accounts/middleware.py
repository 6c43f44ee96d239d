"""Where a logged-in browser was last seen."""

import logging
import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)
SEEN = "seen_at"  # in the session, in seconds since 1970
OF_PROGRAMS = ("/api/", "/v1/", "/static/")


class SeenBrowsers:
    """Keeps the list on the security page true, with a write every BROWSER_SEEN_SECONDS.

    allauth's own middleware writes with every request; routes that programs call pay for neither.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if (
            not request.path.startswith(OF_PROGRAMS)
            and request.session.session_key
            and request.user.is_authenticated
        ):
            _note(request)
        return self.get_response(request)


def _note(request: HttpRequest) -> None:
    now = int(time.time())
    if now - request.session.get(SEEN, 0) >= settings.BROWSER_SEEN_SECONDS:
        UserSession.objects.create_from_request(request)
        request.session[SEEN] = now


class NeverStored:
    """No browser or proxy keeps a page of log-in: some hold secrets, such as recovery codes, or who is logged in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith("/accounts/"):
            add_never_cache_headers(response)
        return response


class TwiceAtOnce:
    """Of two tabs that add the same app or confirm the same address at once, the database lets one win."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        if not isinstance(exception, IntegrityError) or not request.path.startswith("/accounts/"):
            return None
        logger.warning("twice at once: %s", request.path, exc_info=exception)
        messages.error(
            request,
            _(
                "This was sent twice at the same time. Check the current state before you try "
                "again."
            ),
        )
        return redirect("account_security")
