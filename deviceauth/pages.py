"""The pages on which a user approves a device: enter the code, see the request, approve or deny.

The second page shows the request in the state that it has now, so every answer to a form is a
redirect to it: it can be reloaded, read in another language, and reached by "back". Its address has
a signed token with the code, which only the first page makes, for one user. So the pages work
without JavaScript and in two tabs at once, and no link from outside skips the first page. A GET
request never changes anything.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.toolbox.request_source import Source, network
from accounts.toolbox.typed.codes import find_letters
from deviceauth import codes, device_flow, device_sessions, freshness, mails
from deviceauth.exceptions import (
    MalformedUserCode,
    TooManyTries,
    UnknownUserCode,
    UsedUserCode,
    UserCodeRefusal,
)
from deviceauth.models import DeviceCode, DeviceSession

SALT = "deviceauth.request"
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
ENDED = (
    _("The device has been refused and disconnected"),
    _(
        "It was already connected when you refused. It has no access to your account any more. "
        "Your list of requests shows whether it has used credits."
    ),
)
DISCONNECTED = (
    _("This device is no longer connected"),
    _("You allowed it, and it has been disconnected since. You do not need to do anything."),
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


page = require_http_methods(["GET", "HEAD", "POST"])


@page
@with_secret_in_address
def device(request: HttpRequest) -> HttpResponse:
    """Serve `/auth/device`: the step to enter a code."""
    typed = (request.POST if request.method == "POST" else request.GET).get("user_code", "")
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(_build_return_url(typed))
    decision = request.POST.get("decision", "")
    if decision != "deny" and freshness.is_stale(request, user):
        return _ask_for_password(_build_return_url(typed))
    if request.method != "POST":
        return _render_enter_step(request, typed)
    try:
        code = device_flow.look_up(user_code=typed, user=user, source=Source.from_request(request))
        _decide(request, code, decision)
    except (MalformedUserCode, UnknownUserCode) as refusal:
        return _render_enter_step(request, typed, refusal)
    except UserCodeRefusal as refusal:
        return _render_refusal(request, refusal)
    return redirect(_build_request_url(code, user, typed))


@page
@with_secret_in_address
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Serve `/auth/device/confirm/…`: a request in its state, to approve or deny it."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(request.path)
    code, user_code = _read_request(token, user)
    decision = request.POST.get("decision", "")
    if code is None and decision == "deny":  # purged; the page links to the list of devices
        return _render_refusal(request, UsedUserCode())
    if code is None:
        return redirect(_build_return_url(user_code))
    is_question = decision != "deny" and code.status == DeviceCode.Status.PENDING
    if is_question and freshness.is_stale(request, user):
        return _ask_for_password(request.path)
    try:
        if request.method != "POST":
            return _render_state(request, code, user_code)
        _decide(request, code, decision)
    except UserCodeRefusal as refusal:
        return _render_refusal(request, refusal)
    return redirect(request.path)


def _decide(request: HttpRequest, code: DeviceCode, decision: str) -> None:
    """Approve or deny the request, or note that its page is about to be opened."""
    user, source = cast(User, request.user), Source.from_request(request)
    match decision:
        case "allow":
            device_flow.approve(code=code, user=user, source=source)
        case "deny":
            device_flow.deny(code=code, user=user, source=source)
        case _:
            device_flow.require_open(code, user)
            if code.status != DeviceCode.Status.PENDING:
                raise UsedUserCode
            device_flow.note_opened(code=code, user=user, source=source)


def _ask_for_password(next_url: str) -> HttpResponse:
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': next_url})}")


def _build_request_url(code: DeviceCode, user: User, typed: str) -> str:
    """Return the URL at which this user sees this request."""
    return reverse(
        "device_confirm",
        args=[signing.dumps([code.pk, user.pk, _format_typed_code(typed)], salt=SALT)],
    )


def _read_request(token: str, user: User) -> tuple[DeviceCode | None, str]:
    """Return the request of a token, and its user code; None if it is not for this user."""
    try:
        pk, owner, user_code = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None, ""
    if owner != user.pk:
        return None, user_code
    return DeviceCode.objects.select_related("application").filter(pk=pk).first(), user_code


def _render_state(request: HttpRequest, code: DeviceCode, user_code: str) -> HttpResponse:
    """Render the request, or what became of it. Raises UsedUserCode, ExpiredUserCode."""
    if code.status == DeviceCode.Status.PENDING:
        device_flow.require_open(code, None)
        return _render_confirm_step(request, code, user_code)
    if code.user_id != cast(User, request.user).pk:
        raise UsedUserCode
    if code.status == DeviceCode.Status.DENIED:
        return _render_result(request, ENDED if code.consumed_at else DENIED)
    if code.status == DeviceCode.Status.AUTHORIZED:
        device_flow.require_open(code, None)
        return _render_result(request, ALLOWED, deniable=True)
    if not DeviceSession.objects.live().filter(approval=code.approval).exists():
        return _render_result(request, DISCONNECTED)
    return _render_result(request, ALLOWED, deniable=True)


def _render_enter_step(
    request: HttpRequest, typed: str, refusal: UserCodeRefusal | None = None
) -> HttpResponse:
    user_code = _format_typed_code(typed)
    context = {"user_code": user_code, "refusal": refusal, "here": _build_return_url(typed)}
    return render(
        request, "deviceauth/enter.html", context, status=refusal.status if refusal else 200
    )


def _render_confirm_step(request: HttpRequest, code: DeviceCode, user_code: str) -> HttpResponse:
    browser_address = Source.from_request(request).address
    context = {
        "code": code,
        "user_code": user_code,
        "permissions": describe_scopes(code.scopes),
        "is_ours": code.application.client_id == settings.FIRST_PARTY_CLIENT_ID,
        "browser_address": browser_address,
        "elsewhere": network(code.address) != network(browser_address),
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
    request: HttpRequest,
    message: tuple[str | Promise, str | Promise],
    *,
    status: int = 200,
    deniable: bool = False,
) -> HttpResponse:
    title, text = message
    context = {"title": title, "text": text, "again": status != 200, "deniable": deniable}
    return render(request, "deviceauth/end.html", context, status=status)


def _format_typed_code(typed: str) -> str:
    """Return a typed code as we display it; empty if it cannot be a code."""
    normal = find_letters(typed)
    return codes.format_user_code(normal) if normal else ""


def _build_return_url(typed: str) -> str:
    """Return the URL of this page with the code, to return to after log-in or sign-up."""
    user_code = _format_typed_code(typed)
    return (
        f"{reverse('device')}?{urlencode({'user_code': user_code})}"
        if user_code
        else reverse("device")
    )


@page
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
        return redirect(f"{request.path}?ended" if ended else request.path)
    allowed = _describe_approved_device(approval)
    over = "ended" if "ended" in request.GET else "over"
    context = {"state": "ask", "device": allowed} if allowed else {"state": over}
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
