"""The routes of `/api/auth/`: three serve OAuth to devices, three serve JSON to browsers."""

from typing import Any, ClassVar, cast

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access.authentication import BearerAuthentication
from accounts.models import User
from accounts.toolbox.dialects import speaks
from accounts.toolbox.rate_limits import AddressThrottle
from accounts.toolbox.request_source import Source
from accounts.toolbox.typed.codes import find_letters
from deviceauth import codes, device_flow, freshness, openapi
from deviceauth.exceptions import InvalidRequest, MalformedUserCode, UnknownUserCode, UsedUserCode
from deviceauth.models import DeviceCode
from deviceauth.oauth import parameters, server
from deviceauth.oauth.errors import BROWSER, OAUTH, render_to_browser, render_to_device
from deviceauth.oauth.validator import build_profile


class CodeThrottle(AddressThrottle):
    setting = "DEVICE_CODE_RPM"


class HourlyCodeThrottle(AddressThrottle):
    setting = "DEVICE_CODE_RPH"
    period = 3600


class VerifyThrottle(AddressThrottle):
    setting = "DEVICE_VERIFY_RPM"


class NotFromAnotherSite(BasePermission):
    """Refuses requests that a page of another site sends (Fetch Metadata, Sec-Fetch-Site).

    Such a page could use up the attempts and codes of its visitors. The webview of the desktop
    application also counts as another site, so its origin is allowed.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        headers = request._request.headers
        is_ours = headers.get("Origin") in settings.CORS_ALLOWED_ORIGINS
        return is_ours or headers.get("Sec-Fetch-Site") != "cross-site"


class OnlyJSON(BaseContentNegotiation):
    """Always answers JSON and ignores the Accept header, as RFC 9110 §12.5.1 allows."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        media_type = str(request.content_type).partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class AuthView(APIView):
    """Base of all views here: every response is JSON and may not be stored (RFC 6749 §5.1)."""

    content_negotiation_class = OnlyJSON
    refuse: ClassVar[Any]

    def get_exception_handler(self) -> Any:
        return type(self).refuse

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        return response


@speaks(OAUTH)
class DeviceView(AuthView):
    """Base of the OAuth endpoints: no log-in, a form or JSON, all parameters in the body."""

    authentication_classes = ()
    permission_classes: Any = (AllowAny,)
    parser_classes = (parameters.JSONParser, parameters.FormParser)
    refuse = staticmethod(render_to_device)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request._request.META.get("QUERY_STRING"):
            raise InvalidRequest("Parameters belong in the body.")


class DeviceCodeView(DeviceView):
    """The device authorization endpoint (RFC 8628 §3.1, §3.2)."""

    permission_classes = (NotFromAnotherSite,)
    throttle_classes = (CodeThrottle, HourlyCodeThrottle)

    @openapi.code
    def post(self, request: Request) -> Response:
        given = parameters.read(request, parameters.CODE)
        scope = parameters.read_scope(request, is_first_party=given.is_first_party)
        values = given.values | ({"scope": scope} if scope else {})
        client, scopes = server.validate_device_request(values, request.path)
        started = device_flow.start(
            client=client,
            scopes=scopes,
            source=Source.from_request(request._request),
        )
        return Response(_build_device_authorization(started))


def _build_device_authorization(started: device_flow.Started) -> dict[str, Any]:
    # Not from Host or X-Forwarded-Host: a forged header would choose the site where people log in.
    page = settings.PUBLIC_ORIGIN + reverse("device")
    return {
        "device_code": started.device_code,
        "user_code": started.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={started.user_code}",
        "expires_in": settings.DEVICE_CODE_SECONDS,
        "interval": started.code.interval,
    }


class DeviceTokenView(DeviceView):
    """The token endpoint (RFC 8628 §3.4, §3.5; RFC 6749 §6).

    It is never throttled, because the desktop application logs out when a refresh is refused.
    """

    @openapi.token
    def post(self, request: Request) -> HttpResponse:
        given = parameters.read(request, parameters.TOKEN)
        answer = server.answer_token_request(
            given.values, request.path, Source.from_request(request._request)
        )
        return _render_json(answer)


class DeviceRevokeView(DeviceView):
    """The revocation endpoint (RFC 7009)."""

    @openapi.revoke
    def post(self, request: Request) -> HttpResponse:
        given = parameters.read(request, parameters.REVOKE)
        answer = server.answer_revocation_request(
            given.values, request.path, Source.from_request(request._request)
        )
        return _render_json(answer)


def _render_json(answer: server.OAuthResponse) -> HttpResponse:
    response = HttpResponse(
        answer.body, status=answer.status, content_type="application/json", headers=answer.headers
    )
    if answer.status == 401:
        response["WWW-Authenticate"] = 'Basic realm="smartspec"'
    return response


@speaks(BROWSER)
class BrowserView(AuthView):
    """Base of the routes for browsers, which send and receive JSON."""

    parser_classes = (parameters.JSONParser,)
    refuse = staticmethod(render_to_browser)
    unauthorized = "Unauthorized"


class VerifyView(BrowserView):
    """Shows the state of a user code. It is public, so it tells as little as possible."""

    authentication_classes = ()
    permission_classes = (NotFromAnotherSite,)
    throttle_classes = (VerifyThrottle,)

    @openapi.verify
    def get(self, request: Request) -> Response:
        typed = request.query_params.getlist("user_code")
        if len(typed) != 1:
            raise MalformedUserCode
        try:
            code = device_flow.find(
                user_code=typed[0], user=None, source=Source.from_request(request._request)
            )
        except UsedUserCode:  # a public route must not tell denied from unknown
            raise UnknownUserCode from None
        if code.status != DeviceCode.Status.PENDING:
            return Response(_build_authorized())
        return Response(
            {
                "status": "pending",
                "user_code": codes.format_user_code(find_letters(typed[0]) or ""),
                "scopes": code.scopes,
                "expires_in": code.seconds_left,
            }
        )


def _build_authorized() -> dict[str, str]:
    return {"status": "authorized", "message": _("The device is connected.")}


class AuthorizeView(BrowserView):
    """Approves a device from the existing service's page, with a session and its CSRF token."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsAuthenticated,)
    unauthorized = "Please log in first"

    @openapi.authorize
    def post(self, request: Request) -> Response:
        typed = request.data.get("user_code")
        if not isinstance(typed, str):
            raise MalformedUserCode
        user = cast(User, request.user)
        if freshness.is_stale(request._request, user):
            raise NotAuthenticated
        code = device_flow.find(
            user_code=typed, user=user, source=Source.from_request(request._request)
        )
        device_flow.approve(code=code, user=user, source=Source.from_request(request._request))
        return Response(_build_authorized())


class MeView(BrowserView):
    """Returns the profile of the caller, who has a bearer token or a session."""

    authentication_classes = (BearerAuthentication, SessionAuthentication)
    permission_classes = (IsAuthenticated,)

    @openapi.me
    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        return Response(build_profile(user) | {"role": user.role})
