"""The home page, and what a supervisor asks."""

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
from accounts.toolbox.dialects import ENVELOPE, speaks
from credits import ledger
from credits.models import Package
from smartspec.dialects import find_dialect


def home(request: HttpRequest) -> HttpResponse:
    """What this is, and where to go from here."""
    user = request.user
    context = {
        "balance": ledger.balance(user) if isinstance(user, User) else None,
        "bonus": settings.SIGNUP_BONUS_CREDITS,
        "contact": settings.SUPPORT_EMAIL,
        "packages": Package.objects.filter(is_active=True),
    }
    return render(request, "smartspec/home.html", context)


def favicon(request: HttpRequest) -> HttpResponse:
    """For browsers that ask without having read the page."""
    return redirect(static("smartspec/icon.svg"))


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "ok"})


@speaks(ENVELOPE)
@csrf_exempt
@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 while the database answers too, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})


@csrf_exempt  # whatever the method: there is nothing to protect
def not_found(request: HttpRequest) -> HttpResponse:
    """404 for `/api/` and `/v1/` paths that do not exist."""
    return find_dialect(request).answer(404, _("There is nothing at this address."), "not_found")
