"""Middleware: last use of browsers, caching of log-in pages, `next`, duplicate submissions."""

import logging
import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.db import Error, IntegrityError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from accounts.database.faults import RETRY_AFTER_SECONDS, find_fault
from accounts.languages import speak_language_of
from accounts.time_zones import zone_of
from accounts.toolbox.dialects import PAGE
from accounts.toolbox.return_addresses import COOKIE, ENTRANCE, remember_address
from accounts.toolbox.shown_once import forget_expired_secrets

logger = logging.getLogger(__name__)
SEEN = "seen_at"  # in the session, in seconds since 1970
ADMIN_PATH = "/admin/"
PROGRAM_PATHS = ("/api/", "/v1/", "/static/")


class BrowserLastSeenMiddleware:
    """Records when and where a browser session was last used, at most once in BROWSER_SEEN_SECONDS.

    The security page shows it. allauth's own middleware would write with every request. Routes that
    programs call are skipped. A database that can only be read shows its pages without the record.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PROGRAM_PATHS):
            try:
                _record_use(request)
            except Error as error:
                if (fault := find_fault(error)) is None:
                    raise
                if not fault.reads:
                    return PAGE.answer_busy(seconds=RETRY_AFTER_SECONDS)
                logger.warning("the use of a browser session is not recorded: %s", fault.name)
        return self.get_response(request)


def _record_use(request: HttpRequest) -> None:
    if not (request.session.session_key and request.user.is_authenticated):
        return
    now = int(time.time())
    if now - request.session.get(SEEN, 0) >= settings.BROWSER_SEEN_SECONDS:
        UserSession.objects.create_from_request(request)
        request.session[SEEN] = now
        forget_expired_secrets(request)


class ReaderLanguageMiddleware:
    """Shows pages in the language of the user to a browser in which nobody chose another."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PROGRAM_PATHS) and request.session.session_key:
            speak_language_of(request)
        return self.get_response(request)


class OperatorTimeZoneMiddleware:
    """Shows and reads times of the admin in the time zone of the administrator."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ADMIN_PATH):
            return self.get_response(request)
        with timezone.override(zone_of(request.user)):
            return self.get_response(request)


class NoStoreMiddleware:
    """Forbids browsers and proxies to store the pages under /accounts/.

    Some contain secrets, such as recovery codes, or show who is logged in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith("/accounts/"):
            add_never_cache_headers(response)
        return response


class ReturnAddressMiddleware:
    """Keeps the `next` of log-in and sign-up pages until their person has arrived.

    See accounts/toolbox/return_addresses.py.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith(ENTRANCE):
            remember_address(request, response)
        elif (
            COOKIE in request.COOKIES
            and not request.path.startswith(("/i18n/", *PROGRAM_PATHS))
            and request.user.is_authenticated
        ):
            response.delete_cookie(COOKIE, samesite="Lax")
        return response


class DuplicateSubmissionMiddleware:
    """Redirects to the security page if two submissions at the same time conflict.

    For example two tabs confirm the same address: a constraint of the database refuses the second.
    """

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
