"""The page where a person answers a device: enter the code, look at who asks, allow or refuse.

Nothing is kept between the steps but the code itself, in the form, so it works without JavaScript and
in two tabs at once. A GET never changes anything.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.toolbox.request_source import Source, network
from deviceauth import codes, device_flow, device_sessions, freshness, mails
from deviceauth.exceptions import (
    MalformedUserCode,
    TooManyTries,
    UnknownUserCode,
    UsedUserCode,
    UserCodeRefusal,
)
from deviceauth.models import DeviceCode, DeviceSession

ALLOWED = (
    _("Your device is connected"),
    _("You can close this page and go back to your device. We have also sent you an email."),
)
DENIED = (
    _("The device has been refused"),
    _(
        "It has no access to your account. If someone sent you the code, they tried to use your credits."
    ),
)
# The code is in the address, and no referrer may carry it on. It cannot be `no-referrer`: with that,
# browsers send `Origin: null` with our own form (Fetch, "append a request Origin header"), which CSRF refuses.
REFERRER_POLICY = "strict-origin"

View = Callable[..., HttpResponse]


def with_secret_in_address(view: View) -> View:
    """A page that nobody may store, frame, or name to others."""

    @wraps(view)
    def wrapped(request: HttpRequest, **captured: str) -> HttpResponse:
        response = view(request, **captured)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = REFERRER_POLICY
        response["X-Frame-Options"] = "DENY"
        return response

    return wrapped


@require_http_methods(["GET", "HEAD", "POST"])
@with_secret_in_address
def device(request: HttpRequest) -> HttpResponse:
    """`/auth/device`: the enter step, the confirm step, or the end."""
    typed = (request.POST if request.method == "POST" else request.GET).get("user_code", "")
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(_address_with(typed))
    if freshness.is_stale(request, user):
        return redirect(
            f"{reverse('account_reauthenticate')}?{urlencode({'next': _address_with(typed)})}"
        )
    if request.method != "POST":
        return _enter(request, typed)
    try:
        return _decide(request, typed)
    except (MalformedUserCode, UnknownUserCode) as refusal:
        return _enter(request, typed, refusal)
    except UserCodeRefusal as refusal:
        return _refused(request, refusal)


def _decide(request: HttpRequest, typed: str) -> HttpResponse:
    user, source = cast(User, request.user), Source.of(request)
    code = device_flow.find(user_code=typed, user=user, source=source)
    match request.POST.get("decision"):
        case "allow":
            device_flow.approve(code=code, user=user, source=source)
            return _end(request, ALLOWED)
        case "deny":
            device_flow.deny(code=code, user=user, source=source)
            return _end(request, DENIED)
    if code.status != DeviceCode.Status.PENDING:
        raise UsedUserCode
    device_flow.note_opened(code=code, user=user, source=source)
    return _confirm(request, code, typed)


def _enter(
    request: HttpRequest, typed: str, refusal: UserCodeRefusal | None = None
) -> HttpResponse:
    context = {"user_code": _tidy(typed), "refusal": refusal}
    return render(
        request, "deviceauth/enter.html", context, status=refusal.status if refusal else 200
    )


def _confirm(request: HttpRequest, code: DeviceCode, typed: str) -> HttpResponse:
    here = Source.of(request)
    context = {
        "code": code,
        "user_code": _tidy(typed),
        "permissions": words(code.scopes),
        "is_ours": code.application.client_id == settings.FIRST_PARTY_CLIENT_ID,
        "here": here.address,
        "elsewhere": network(code.address) != network(here.address),
    }
    return render(request, "deviceauth/confirm.html", context)


def words(scopes: list[str]) -> list[str | Promise]:
    """What scopes allow, as people say it."""
    return [settings.SCOPES[scope] for scope in scopes if scope in settings.SCOPES]


def _refused(request: HttpRequest, refusal: UserCodeRefusal) -> HttpResponse:
    response = _end(request, (refusal.title, refusal.text), status=refusal.status)
    if isinstance(refusal, TooManyTries):
        response["Retry-After"] = str(refusal.retry_after)
    return response


def _end(
    request: HttpRequest, words: tuple[str | Promise, str | Promise], status: int = 200
) -> HttpResponse:
    title, text = words
    context = {"title": title, "text": text, "again": status != 200}
    return render(request, "deviceauth/end.html", context, status=status)


def _tidy(typed: str) -> str:
    """A code as we write it; what cannot be one is not repeated."""
    normal = codes.normalise(typed)
    return codes.display(normal) if normal else ""


def _address_with(typed: str) -> str:
    """This page with the code, to come back to after logging in or signing up."""
    user_code = _tidy(typed)
    return (
        f"{reverse('device')}?{urlencode({'user_code': user_code})}"
        if user_code
        else reverse("device")
    )


@require_http_methods(["GET", "HEAD", "POST"])
@with_secret_in_address
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """`/auth/device/undo/…`, from the mail about a new device: ask, then disconnect it. No log-in is needed."""
    approval = mails.approval_of(token)
    if approval is None:
        return render(request, "deviceauth/undo.html", {"state": "unknown"}, status=404)
    if request.method == "POST":
        ended = device_sessions.undo(approval=approval, source=Source.of(request))
        return render(request, "deviceauth/undo.html", {"state": "ended" if ended else "over"})
    allowed = _allowed(approval)
    context = {"state": "ask", "device": allowed} if allowed else {"state": "over"}
    return render(request, "deviceauth/undo.html", context)


def _allowed(approval: uuid.UUID) -> dict[str, Any] | None:
    """What there still is to take back: the device, its application, and since when."""
    session = (
        DeviceSession.objects.live().filter(approval=approval).select_related("application").first()
    )
    if session:
        return {
            "name": session.name,
            "application": session.application.name,
            "since": session.created_at,
        }
    code = (
        DeviceCode.objects.approved()
        .filter(approval=approval)
        .select_related("application")
        .first()
    )
    return code and {
        "name": code.device,
        "application": code.application.name,
        "since": code.approved_at,
    }
