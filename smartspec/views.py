"""The home page, the choice of a language, and the health checks for a supervisor."""

import logging

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import i18n
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.database.faults import RETRY_AFTER_SECONDS, find_fault
from accounts.languages import store_language
from accounts.models import User
from accounts.operation import current as operation
from accounts.toolbox.diagnosis.causes import attach_cause
from accounts.toolbox.dialects import ENVELOPE, speaks
from accounts.toolbox.return_addresses import resolve_address
from accounts.toolbox.shutdown import shutdown
from credits.shop import offers
from credits.stripe_api.client import is_configured
from smartspec import operator_views
from smartspec.middleware import find_dialect
from smartspec.policies.plain_http import find_proxy_problem
from smartspec.postgresql import readiness

logger = logging.getLogger(__name__)


class NotReadyError(Exception):
    """The database cannot be written. The message is what /readyz answers."""


def home(request: HttpRequest) -> HttpResponse:
    """Show a stranger what the service is. Who is logged in gets to the account."""
    if request.user.is_authenticated:
        return redirect("account")
    currency = offers.choose_currency(request, offers.list_currencies())
    context = {
        "bonus": operation.read_signup_bonus()[0] if operation.is_sign_up_open() else 0,
        "contact": settings.SUPPORT_EMAIL,
        "can_pay": is_configured(),
        "packages": [
            (offer.package, offer.shown_price) for offer in offers.list_offers(None, currency)
        ],
        "plus_tax": offers.describe_tax(),
    }
    return render(request, "smartspec/home.html", context)


def lead_on(request: HttpRequest, name: str) -> HttpResponse:
    """Redirect from an address that people guess to the page with this name, with its query."""
    query = request.META["QUERY_STRING"]
    return redirect(f"{reverse(name)}?{query}" if query else reverse(name))


def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect browsers that request the icon without having read its link in a page."""
    return redirect(static("smartspec/icon.svg"))


def set_language(request: HttpRequest) -> HttpResponseBase:
    """Set the language of this browser and of who is logged in, then go back to `next`."""
    response = i18n.set_language(request)
    _remember_language(request)
    if response.status_code == 302:
        response["Location"] = (
            resolve_address(request.POST.get("next") or request.headers.get("Referer")) or "/"
        )
    return response


def _remember_language(request: HttpRequest) -> None:
    """Store the language of who is logged in. A database that can only be read changes nothing."""
    try:
        if isinstance(request.user, User):
            store_language(request.user, request.POST.get("language", ""))
    except Error as error:
        fault = find_fault(error)
        if fault is None or not fault.reads:
            raise
        logger.warning("the language of a user is not stored: %s", fault.name)


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Respond 200: the process is running. With `?deep`, also say what the proxy in front lacks."""
    if "deep" not in request.GET:
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "ok", "proxy": find_proxy_problem(request) or "ok"})


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Respond 200 if the database can be written, otherwise 503, within two seconds.

    It is 503 too while this worker shuts down. Maintenance is told and stays 200, because a proxy
    would otherwise take the pages and the admin away. With `?full`, an operator reads every
    condition.
    """
    if "full" in request.GET:
        operator_views.require_operator(request)
    if shutdown.has_begun:
        return JsonResponse({"status": "draining", "database": "not asked"}, status=503)
    found = readiness.probe.ask(connection.get_connection_params())
    if found != readiness.UNREACHABLE and "full" in request.GET:
        return operator_views.report_all(request)
    if found == readiness.READY:
        maintenance = {"maintenance": True} if operation.is_maintained() else {}
        return JsonResponse({"status": "ok", "database": found, **maintenance})
    response = JsonResponse({"status": "unavailable", "database": found}, status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return attach_cause(response, NotReadyError(found))


@csrf_exempt  # Every method gets the same 404.
def not_found(request: HttpRequest) -> HttpResponse:
    """Respond 404 to `/api/` and `/v1/` paths that do not exist."""
    return find_dialect(request).answer(404, _("This address does not exist."), "not_found")
