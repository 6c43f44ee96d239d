"""The theme that a reader has chosen, and the data for the frame of each page.

The choice of a user is stored in the user's row, that of a visitor without a login in a cookie.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from accounts.models import Theme, User
from accounts.operation import current as operation
from accounts.time_zones import find_zone

THEME_COOKIE = "theme"
THEME_SECONDS = 365 * 24 * 3600


def describe_page(request: HttpRequest) -> dict[str, Any]:
    """Return what the frame of each page shows: the theme, and what the operator says.

    The theme is looked up when a template asks for it, because pages of programs have none.
    """
    return {
        "theme": SimpleLazyObject(lambda: choose_theme(request)),
        "banner": SimpleLazyObject(operation.read_banner),
        "maintenance": SimpleLazyObject(_describe_maintenance),
        "sign_up_open": operation.is_sign_up_open(),
        "operator": {
            "contact": settings.SUPPORT_EMAIL,
            "terms": settings.TERMS_LINK,
            "privacy": settings.PRIVACY_LINK,
        },
    }


def _describe_maintenance() -> str:
    return operation.read_maintenance()[0] if operation.is_maintained() else ""


def choose_theme(request: HttpRequest) -> str:
    """Return light or dark, from the user's row or else the cookie; empty for the system's."""
    user = getattr(request, "user", None)
    chosen = user.theme if isinstance(user, User) else ""
    cookie = request.COOKIES.get(THEME_COOKIE, "")
    theme = next((theme for theme in (chosen, cookie) if theme in Theme.values), Theme.SYSTEM)
    return "" if theme == Theme.SYSTEM else theme


def keep_theme(response: HttpResponseBase, theme: str) -> None:
    """Keep the theme in this browser, for pages before log-in."""
    response.set_cookie(
        THEME_COOKIE,
        theme,
        max_age=THEME_SECONDS,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def store_theme(user: User, theme: str) -> None:
    """Store the theme. A value that is not one of Theme is ignored."""
    if theme in Theme.values and theme != user.theme:
        user.theme = theme
        user.save(update_fields=["theme"])


def learn_time_zone(user: User, name: str) -> None:
    """Store the zone that the browser names, if none is stored. An unknown name is ignored."""
    if find_zone(name) is not None:
        User.objects.filter(pk=user.pk, time_zone="").update(time_zone=name)
