"""The status for programs of the operator: `/readyz?full` and `/metrics`.

Whoever sends no METRICS_TOKEN and is no superuser who is logged in gets the 404 of an address that
does not exist, so that an outsider learns nothing.
"""

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.database.faults import RETRY_AFTER_SECONDS
from accounts.toolbox.credentials import read_bearer_token
from smartspec.upkeep import documents, status


def require_operator(request: HttpRequest) -> None:
    """Raise Http404 unless the request has METRICS_TOKEN, or a superuser is logged in.

    A request with a token is judged by it alone, and asks no database.
    """
    token, expected = read_bearer_token(request), settings.METRICS_TOKEN
    if token is not None:
        is_right = hmac.compare_digest(token.encode(), expected.encode())
        is_allowed = bool(expected) and is_right
    else:
        is_allowed = request.user.is_active and getattr(request.user, "is_superuser", False)
    if not is_allowed:
        raise Http404


def report_all(request: HttpRequest) -> JsonResponse:
    """Return every condition as JSON: 200, or 503 if something is wrong.

    The texts are English, as those of `manage.py status`.
    """
    with translation.override("en"):
        document = documents.build_document(status.collect())
    response = JsonResponse({"status": "ok" if document["fine"] else "wrong", **document})
    if not document["fine"]:
        response.status_code = 503
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`: the gauges of the status, for Prometheus."""
    require_operator(request)
    with translation.override("en"):
        text = documents.write_metrics(status.collect())
    return HttpResponse(text, content_type=documents.CONTENT_TYPE)
