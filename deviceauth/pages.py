"""The page on which a user approves a device: enter the code, see the request, approve or deny.

Between the steps only the code is kept, in the form, so the page works without JavaScript and in
two tabs at once. A GET request never changes anything.
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
        "It has no access to your account. If someone sent you the code, they tried to use your "
        "credits."
    ),
)
# The URL contains the code, which no Referer header may pass on. `no-referrer` is impossible: with
# it browsers send `Origin: null` for our own form (Fetch, "append a request Origin header"), and
# Django's CSRF check refuses that.
REFERRER_POLICY = "strict-origin"

View = Callable[..., HttpResponse]


def with_secret_in_address(view: View) -> View:
    """Decorate a page whose URL contains a secret: no storing, no framing, no full Referer."""

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
    """Serve `/auth/device`: the step to enter a code, the step to confirm, or the result."""
    typed = (request.POST if request.method == "POST" else request.GET).get("user_code", "")
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(_build_return_url(typed))
    if freshness.is_stale(request, user):
        return redirect(
            f"{reverse('account_reauthenticate')}?{urlencode({'next': _build_return_url(typed)})}"
        )
    if request.method != "POST":
        return _render_enter_step(request, typed)
    try:
        return _decide(request, typed)
    except (MalformedUserCode, UnknownUserCode) as refusal:
        return _render_enter_step(request, typed, refusal)
    except UserCodeRefusal as refusal:
        return _render_refusal(request, refusal)


def _decide(request: HttpRequest, typed: str) -> HttpResponse:
    user, source = cast(User, request.user), Source.from_request(request)
    code = device_flow.find(user_code=typed, user=user, source=source)
    match request.POST.get("decision"):
        case "allow":
            device_flow.approve(code=code, user=user, source=source)
            return _render_result(request, ALLOWED)
        case "deny":
            device_flow.deny(code=code, user=user, source=source)
            return _render_result(request, DENIED)
    if code.status != DeviceCode.Status.PENDING:
        raise UsedUserCode
    device_flow.note_opened(code=code, user=user, source=source)
    return _render_confirm_step(request, code, typed)


def _render_enter_step(
    request: HttpRequest, typed: str, refusal: UserCodeRefusal | None = None
) -> HttpResponse:
    context = {"user_code": _format_typed_code(typed), "refusal": refusal}
    return render(
        request, "deviceauth/enter.html", context, status=refusal.status if refusal else 200
    )


def _render_confirm_step(request: HttpRequest, code: DeviceCode, typed: str) -> HttpResponse:
    here = Source.from_request(request)
    context = {
        "code": code,
        "user_code": _format_typed_code(typed),
        "permissions": describe_scopes(code.scopes),
        "is_ours": code.application.client_id == settings.FIRST_PARTY_CLIENT_ID,
        "here": here.address,
        "elsewhere": network(code.address) != network(here.address),
    }
    return render(request, "deviceauth/confirm.html", context)


def describe_scopes(scopes: list[str]) -> list[str | Promise]:
    """Return what the scopes allow, in words for people. Unknown scopes are left out."""
    return [settings.SCOPES[scope] for scope in scopes if scope in settings.SCOPES]


def _render_refusal(request: HttpRequest, refusal: UserCodeRefusal) -> HttpResponse:
    response = _render_result(request, (refusal.title, refusal.text), status=refusal.status)
    if isinstance(refusal, TooManyTries):
        response["Retry-After"] = str(refusal.retry_after)
    return response


def _render_result(
    request: HttpRequest, message: tuple[str | Promise, str | Promise], status: int = 200
) -> HttpResponse:
    title, text = message
    context = {"title": title, "text": text, "again": status != 200}
    return render(request, "deviceauth/end.html", context, status=status)


def _format_typed_code(typed: str) -> str:
    """Return a typed code as we display it; empty if it cannot be a code."""
    normal = codes.normalise(typed)
    return codes.format_user_code(normal) if normal else ""


def _build_return_url(typed: str) -> str:
    """Return the URL of this page with the code, to return to after log-in or sign-up."""
    user_code = _format_typed_code(typed)
    return (
        f"{reverse('device')}?{urlencode({'user_code': user_code})}"
        if user_code
        else reverse("device")
    )


@require_http_methods(["GET", "HEAD", "POST"])
@with_secret_in_address
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """Serve `/auth/device/undo/…`, the link in the mail about a new device.

    A GET asks for confirmation and a POST disconnects the device. No log-in is needed.
    """
    approval = mails.read_undo_link(token)
    if approval is None:
        return render(request, "deviceauth/undo.html", {"state": "unknown"}, status=404)
    if request.method == "POST":
        ended = device_sessions.undo(approval=approval, source=Source.from_request(request))
        return render(request, "deviceauth/undo.html", {"state": "ended" if ended else "over"})
    allowed = _describe_approved_device(approval)
    context = {"state": "ask", "device": allowed} if allowed else {"state": "over"}
    return render(request, "deviceauth/undo.html", context)


def _describe_approved_device(approval: uuid.UUID) -> dict[str, Any] | None:
    """Return the device that an approval still gives access to; None if it has ended."""
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
