"""The page where a person answers a device: enter the code, look at who asks, allow or refuse.

Nothing is kept between the steps but the code itself, in the form, so it works without JavaScript and
in two tabs at once. A GET never changes anything.
"""

from typing import cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts import devices
from accounts.models import User
from deviceauth import codes, device_flow
from deviceauth.exceptions import MalformedUserCode, TooManyTries, UsedUserCode, UserCodeRefusal
from deviceauth.models import DeviceCode

ALLOWED = (_("Your device is connected"), _("You can close this page and go back to your device."))
DENIED = (_("The device was refused"), _("It has no access to your account. Nothing else is needed."))
# The code is in the address, and no referrer may carry it on. It cannot be `no-referrer`: with that,
# browsers send `Origin: null` with our own form (Fetch, "append a request Origin header"), which CSRF refuses.
REFERRER_POLICY = "strict-origin"


@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """`/auth/device`: the enter step, the confirm step, or the end."""
    response = _answer(request)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = REFERRER_POLICY
    response["X-Frame-Options"] = "DENY"
    return response


def _answer(request: HttpRequest) -> HttpResponse:
    typed = (request.POST if request.method == "POST" else request.GET).get("user_code", "")
    if not request.user.is_authenticated:
        return redirect_to_login(_address_with(typed))
    if request.method != "POST":
        return _enter(request, typed)
    try:
        return _decide(request, typed)
    except MalformedUserCode as refusal:
        return _enter(request, typed, refusal)
    except UserCodeRefusal as refusal:
        return _refused(request, refusal)


def _decide(request: HttpRequest, typed: str) -> HttpResponse:
    user = cast(User, request.user)
    code = device_flow.find(user_code=typed, user=user, address=devices.address(request))
    match request.POST.get("decision"):
        case "allow":
            device_flow.approve(code=code, user=user)
            return _end(request, ALLOWED)
        case "deny":
            device_flow.deny(code=code, user=user)
            return _end(request, DENIED)
    if code.status != DeviceCode.Status.PENDING:
        raise UsedUserCode
    return _confirm(request, code, typed)


def _enter(request: HttpRequest, typed: str, refusal: UserCodeRefusal | None = None) -> HttpResponse:
    context = {"user_code": _tidy(typed), "refusal": refusal}
    return render(request, "deviceauth/enter.html", context, status=refusal.status if refusal else 200)


def _confirm(request: HttpRequest, code: DeviceCode, typed: str) -> HttpResponse:
    permissions = [settings.SCOPES[scope] for scope in code.scopes if scope in settings.SCOPES]
    context = {"code": code, "user_code": _tidy(typed), "permissions": permissions}
    return render(request, "deviceauth/confirm.html", context)


def _refused(request: HttpRequest, refusal: UserCodeRefusal) -> HttpResponse:
    response = _end(request, (refusal.title, refusal.text), status=refusal.status)
    if isinstance(refusal, TooManyTries):
        response["Retry-After"] = str(refusal.retry_after)
    return response


def _end(request: HttpRequest, words: tuple[str | Promise, str | Promise], status: int = 200) -> HttpResponse:
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
    if not user_code:
        return reverse("device")
    query = QueryDict(mutable=True)
    query["user_code"] = user_code
    return f"{reverse('device')}?{query.urlencode()}"
