"""Keeps administrators without a second factor out of the admin: ADMIN_REQUIRES_FACTOR."""

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from smartspec.middleware import GetResponse

ADMIN = "admin"  # the beginning of the routes of the admin
OPEN = {"admin/login/", "admin/logout/"}
Type = Authenticator.Type


class RequireFactor:
    """Leads an administrator to set up a second factor, or to use it once in this session.

    A session that began with the password alone has to prove the factor, because it may be
    somebody else's: whoever knew the password before the factor was set up.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        route = request.resolver_match.route if request.resolver_match else ""
        if not settings.ADMIN_REQUIRES_FACTOR or not route.startswith(ADMIN) or route in OPEN:
            return None
        user = request.user
        if not isinstance(user, User) or not user.is_staff:
            return None
        factors = Authenticator.objects.filter(user=user).exclude(type=Type.RECOVERY_CODES)
        types = set(factors.values_list("type", flat=True))
        if not types:
            messages.warning(
                request,
                _(
                    "Administrators need a second factor. Add a passkey or an authenticator app, "
                    "then open the administration again."
                ),
            )
            return redirect("account_security")
        return None if _has_used_factor(request, user) else _ask_for_factor(types)


def _has_used_factor(request: HttpRequest, user: User) -> bool:
    return any(record["method"] == "mfa" for record in get_authentication_records(request, user))


def _ask_for_factor(types: set[str]) -> HttpResponse:
    name = "mfa_reauthenticate_webauthn" if Type.WEBAUTHN in types else "mfa_reauthenticate"
    return redirect(f"{reverse(name)}?next={reverse('admin:index')}")
