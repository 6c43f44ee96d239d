"""In which language to write to a user, and how the service learns it.

A page is in the language of its browser: the switch on the page, then Accept-Language (RFC 9110
§12.5.4). Mails that no page causes, such as those of `manage.py tick` and of payments, need a
language of the user. It is remembered at sign-up, by the switch, and at log-in if it is unknown.
"""

from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

from accounts.models import User

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


class CurrentReaderMiddleware:
    """Lets choose_language know whose page is being made. It needs the user of the session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


def find_reader() -> User | None:
    """Return who reads the page that is being made; None for a stranger, or if there is no page."""
    request = _request.get()
    reader = request.user if request is not None else None
    return reader if isinstance(reader, User) else None


def choose_language(user: User) -> str:
    """Return the code of the language in which to write to the user.

    It is the language of the page if this user, or a visitor who is not logged in, asks for one.
    Otherwise, for example for an administrator's act or an event about a payment, it is the user's
    own; if that is unknown, the active one.
    """
    request = _request.get()
    active: str = translation.get_language() or settings.LANGUAGE_CODE
    if request is not None and names_language(request) and _is_about_reader(request, user):
        return active
    return user.language or active


def remember_language(user: User, request: HttpRequest) -> None:
    """Store the language of the page as the user's if none is stored and the request names one."""
    if not user.language and names_language(request):
        store_language(user, translation.get_language() or settings.LANGUAGE_CODE)


def store_language(user: User, language: str) -> None:
    """Store the language. A code that is not one of LANGUAGES is ignored."""
    if language in dict(settings.LANGUAGES) and language != user.language:
        user.language = language
        user.save(update_fields=["language"])


def keep_language(response: HttpResponseBase, language: str) -> None:
    """Keep the language in this browser, as Django's own switch does."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,
    )


def speak_language_of(request: HttpRequest) -> None:
    """Answer in the language of the user, unless this browser has chosen one by the switch."""
    chosen = settings.LANGUAGE_COOKIE_NAME in request.COOKIES
    reader = None if chosen else request.user
    if isinstance(reader, User) and reader.language in dict(settings.LANGUAGES):
        translation.activate(reader.language)
        request.LANGUAGE_CODE = reader.language


def names_language(request: HttpRequest) -> bool:
    """Return whether the browser says a language, by the switch of our pages or its settings."""
    return settings.LANGUAGE_COOKIE_NAME in request.COOKIES or "Accept-Language" in request.headers


def _is_about_reader(request: HttpRequest, user: User) -> bool:
    reader = request.user
    return not reader.is_authenticated or reader.pk == user.pk
