"""The security page: second factors, browser sessions, access events, account deletion."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import account_deletion, browsers
from accounts.access.authentication import require_user
from accounts.access.second_factors import FACTOR_NAMES
from accounts.login.forms import CloseForm
from accounts.models import AuthEvent, User
from accounts.toolbox import request_source
from accounts.toolbox.request_source import Source

NEWEST = 20  # events on the page
FAILURE_DAYS = 30  # period over which failed log-ins are counted


@require_safe
@never_cache
@login_required
def security(request: HttpRequest) -> HttpResponse:
    user = require_user(request)
    factors, events = Authenticator.objects.filter(user=user), AuthEvent.objects.filter(user=user)
    context = {
        "totp": factors.filter(type=Authenticator.Type.TOTP).first(),
        "passkeys": factors.filter(type=Authenticator.Type.WEBAUTHN).order_by("pk"),
        "recovery_codes": factors.filter(type=Authenticator.Type.RECOVERY_CODES).first(),
        "browsers": [_browser_context(browser) for browser in browsers.list_logged_in(user)],
        "events": [
            _event_context(event)
            for event in events.exclude(kind=AuthEvent.Kind.LOG_IN_FAILED)[:NEWEST]
        ],
        "failures": _summarise_failures(events),
    }
    return render(request, "accounts/security.html", context)


def _browser_context(browser: browsers.Browser) -> dict[str, Any]:
    return {
        "row": browser,
        "name": request_source.describe_user_agent(browser.user_agent),
        "is_this": browser.is_current(),
    }


def _event_context(event: AuthEvent) -> dict[str, Any]:
    """Return an event and its object: a device, a browser, an API key or a second factor."""
    details = event.details
    return {
        "row": event,
        "about": details.get("device")
        or details.get("name")
        or FACTOR_NAMES.get(details.get("factor", ""), ""),
        "by_us": details.get("by") == "administrator",
        "device": request_source.describe_user_agent(event.user_agent) if event.user_agent else "",
    }


def _summarise_failures(events: QuerySet[AuthEvent]) -> dict[str, Any]:
    """Return the number of failed log-ins and the time of the last one.

    Listed one by one they would hide the other events.
    """
    since = timezone.now() - timedelta(days=FAILURE_DAYS)
    failed = events.filter(kind=AuthEvent.Kind.LOG_IN_FAILED, created_at__gte=since)
    return failed.aggregate(number=Count("pk"), latest=Max("created_at"))


@require_POST
@login_required
def end_browser(request: HttpRequest, pk: int) -> HttpResponse:
    """Log one browser out. 404 if it belongs to another user."""
    user = require_user(request)
    browser = get_object_or_404(browsers.list_known(user), pk=pk)
    browsers.end(user=user, browsers=[browser], source=Source.from_request(request))
    messages.success(request, _("The browser has been logged out."))
    return redirect("account_security")


@require_POST
@login_required
def end_other_browsers(request: HttpRequest) -> HttpResponse:
    user = require_user(request)
    others = browsers.list_known(user).exclude(session_key=request.session.session_key)
    ended = browsers.end(user=user, browsers=others, source=Source.from_request(request))
    message = ngettext(
        "%(n)d other browser has been logged out.",
        "%(n)d other browsers have been logged out.",
        ended,
    )
    messages.success(request, message % {"n": ended})
    return redirect("account_security")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
def close(request: HttpRequest) -> HttpResponse:
    """Explain what deleting the account means, and delete it once the user typed their address."""
    user = require_user(request)
    form = CloseForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _close_account(request, user)
        except account_deletion.LastSuperuser as refusal:
            form.add_error(None, refusal.message)
    return render(request, "accounts/close.html", {"form": form})


def _close_account(request: HttpRequest, user: User) -> HttpResponse:
    address = user.email
    account_deletion.close(user=user, source=Source.from_request(request))
    request.session.flush()
    get_adapter().send_notification_mail("account/email/account_closed", user, email=address)
    messages.success(request, _("Your account has been deleted."))
    return redirect("home")
