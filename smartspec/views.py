"""The home page, and the health checks for a supervisor."""

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.toolbox.diagnosis.causes import attach_cause
from accounts.toolbox.dialects import ENVELOPE, speaks
from accounts.toolbox.shutdown import shutdown
from credits import ledger
from credits.models import Package
from smartspec.middleware import find_dialect


def home(request: HttpRequest) -> HttpResponse:
    """Show the home page: what the service is, and where to continue."""
    user = request.user
    context = {
        "balance": ledger.balance(user) if isinstance(user, User) else None,
        "bonus": settings.SIGNUP_BONUS_CREDITS,
        "contact": settings.SUPPORT_EMAIL,
        "packages": Package.objects.filter(is_active=True),
    }
    return render(request, "smartspec/home.html", context)


def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect browsers that request the icon without having read its link in a page."""
    return redirect(static("smartspec/icon.svg"))


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Respond 200: the process is running."""
    return JsonResponse({"status": "ok"})


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Respond 200 if the database answers; 503 otherwise, and while this worker shuts down."""
    if shutdown.has_begun:
        return JsonResponse({"status": "draining", "database": "not asked"}, status=503)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        response = JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
        return attach_cause(response, error)
    return JsonResponse({"status": "ok", "database": "ok"})


@csrf_exempt  # Every method gets the same 404.
def not_found(request: HttpRequest) -> HttpResponse:
    """Respond 404 to `/api/` and `/v1/` paths that do not exist."""
    return find_dialect(request).answer(404, _("This address does not exist."), "not_found")
