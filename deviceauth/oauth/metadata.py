"""The authorization server's metadata document (RFC 8414, with RFC 8628 §4)."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.toolbox.dialects import ENVELOPE, speaks
from deviceauth.oauth import server

AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]


@speaks(ENVELOPE)
@csrf_exempt  # there is nothing to protect, whatever the method
@require_safe
@cache_control(public=True, max_age=3600)
def document(request: HttpRequest) -> JsonResponse:
    origin = settings.PUBLIC_ORIGIN
    return JsonResponse(
        {
            "issuer": origin,
            "device_authorization_endpoint": origin + reverse("device_code"),
            "token_endpoint": origin + reverse("device_token"),
            "revocation_endpoint": origin + reverse("device_revoke"),
            "grant_types_supported": [server.DEVICE_CODE, server.REFRESH_TOKEN],
            "response_types_supported": [],
            "scopes_supported": list(settings.SCOPES),
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        }
    )
