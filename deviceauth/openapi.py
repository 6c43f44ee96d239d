"""The routes of device login in the OpenAPI document: three for devices, three for browsers."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema

from accounts.toolbox.openapi import (
    ENVELOPE,
    FORM,
    JSON,
    ErrorAnswers,
    Node,
    build_response,
    build_rest_response,
    integer,
    record,
    ref,
    string,
)
from deviceauth.oauth import parameters, server

CLIENT: Any = [{}, {"clientBasic": []}]  # drf-spectacular's type allows only names
SECURITY_SCHEMES: Node = {
    "clientBasic": {
        "type": "http",
        "scheme": "basic",
        "description": "A confidential client's `client_id` and `client_secret` (RFC 6749 §2.3.1).",
    }
}
PATTERN = f"^{parameters.CHARACTERS}*$"
USER_CODE = "BCDF-GHJK"
DEVICE_CODE = "nAbdTvFKsLyDKkZoGVvPl3pmYWHqVqW9GNfU0JmY7jM"
REFRESH_TOKEN = "Yd1ZkQ0mPpXo2r8f6nLw5AqT7cVb9sHj3kEuGiDxWzM"  # noqa: S105 – an example

OAUTH = ErrorAnswers(
    "OAuthError",
    {
        400: "`invalid_request`, or what this route refuses (RFC 6749 §5.2, RFC 8628 §3.5).",
        401: "`invalid_client`: unknown, or its authentication failed.",
        403: "Asked by a page of another site (Sec-Fetch-Site) that is not an allowed origin.",
        413: f"The body is larger than {settings.DEVICE_MAX_BODY_BYTES // 1024} KiB.",
        415: "The body is neither a form nor JSON.",
        429: "Too many requests from this address in this minute.",
        503: "`temporarily_unavailable`: the database is away or busy. Nothing was written.",
    },
)
BROWSER = ErrorAnswers(
    "Message",
    {
        400: "That is not a user code, or the request is malformed.",
        401: "Nobody is logged in.",
        403: "The CSRF token is missing or wrong, or a page of another site asks.",
        404: "Nobody waits with this code.",
        410: "The code has expired.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        429: "Too many requests, or too many wrong codes.",
        503: "The database is away or busy. Nothing was written.",
    },
)

PROFILE: Node = {
    "id": integer(),
    "openId": string(),
    "name": string(),
    "email": string(),
    "credits": integer("The posted balance."),
    "plan": string(),
}
ANN = {
    "id": 7,
    "openId": "usr_1a2b3c",
    "name": "Ann",
    "email": "ann@example.com",
    "credits": 100,
    "plan": "free",
}

SCHEMAS: Node = {
    "OAuthError": record(
        {
            "error": string("A code of RFC 6749, 7009 or 8628."),
            "error_description": string("For developers, in English."),
            "interval": integer("With `slow_down`: the new interval, in seconds.", minimum=1),
        },
        optional=["error_description", "interval"],
        examples=[
            {
                "error": "authorization_pending",
                "error_description": "The user has not answered yet.",
            }
        ],
    ),
    "Message": record(
        {"error": record({"message": string("For people.")})},
        examples=[{"error": {"message": "Please log in first"}}],
    ),
    "DeviceAuthorization": record(
        {
            "device_code": string("A secret of the device."),
            "user_code": string(
                "For the person to compare or type.", pattern="^[B-Z]{4}-[B-Z]{4}$"
            ),
            "verification_uri": string("Where the person types it.", format="uri"),
            "verification_uri_complete": string("The same with the code in it.", format="uri"),
            "expires_in": integer("Seconds.", minimum=1),
            "interval": integer("Seconds to wait between polls.", minimum=1),
        },
        examples=[
            {
                "device_code": DEVICE_CODE,
                "user_code": USER_CODE,
                "verification_uri": "https://spec.example/auth/device",
                "verification_uri_complete": f"https://spec.example/auth/device?user_code={USER_CODE}",
                "expires_in": 600,
                "interval": 5,
            }
        ],
    ),
    "Tokens": record(
        {
            "access_token": string(),
            "refresh_token": string(
                "Replaces the one before; that one is honoured for another minute."
            ),
            "token_type": string(enum=["Bearer"]),
            "expires_in": integer("Seconds.", minimum=0),
            "scope": string("Space-separated."),
            "user": record(PROFILE, description="Only for the first-party desktop application."),
        },
        optional=["user"],
        examples=[
            {
                "access_token": "3q2-7wVvT1mS0bZkq4dJ8w",
                "refresh_token": REFRESH_TOKEN,
                "token_type": "Bearer",
                "expires_in": 900,
                "scope": "llm:chat mcp:read",
                "user": ANN,
            }
        ],
    ),
    "Authorized": record({"status": string(enum=["authorized"]), "message": string()}),
    "Pending": record(
        {
            "status": string(enum=["pending"]),
            "user_code": string(),
            "scopes": {"type": "array", "items": string()},
            "expires_in": integer("Seconds left.", minimum=0),
        },
        examples=[
            {"status": "pending", "user_code": USER_CODE, "scopes": ["llm:chat"], "expires_in": 540}
        ],
    ),
    "Me": record(
        {**PROFILE, "role": string(enum=["user", "admin"])}, examples=[{**ANN, "role": "user"}]
    ),
}


def _value(meaning: str) -> Node:
    return string(meaning, maxLength=parameters.MAX_LENGTH, pattern=PATTERN)


def _bodies(table: dict[str, str], example: Node, *, only_json: Node | None = None) -> Node:
    """Return the schemas of both body types, JSON and form.

    A form must name its client; JSON without a client is from the desktop application.
    """
    properties = {
        name: _value(meaning) for name, meaning in (table | parameters.CREDENTIALS).items()
    }
    nullable = {name: value | {"type": ["string", "null"]} for name, value in properties.items()}
    form_example = {
        "client_id": settings.FIRST_PARTY_CLIENT_ID,
        **{n: v for n, v in example.items() if n in table},
    }
    return {
        JSON: {"type": "object", "properties": nullable | (only_json or {}), "examples": [example]},
        FORM: {"type": "object", "properties": properties, "examples": [form_example]},
    }


_SCOPES = {
    "type": ["array", "null"],
    "items": string(pattern=PATTERN),
    "description": "The desktop application's spelling of `scope`.",
}

code = extend_schema(
    operation_id="device_code",
    tags=["device login"],
    summary="Begin a device login (RFC 8628 §3.1)",
    request=_bodies(
        parameters.CODE, {"scopes": ["llm:chat", "mcp:read"]}, only_json={"scopes": _SCOPES}
    ),
    auth=CLIENT,
    responses={
        200: build_rest_response(
            "Show the user code, then poll the token route.", ref("DeviceAuthorization")
        ),
        **OAUTH.responses(400, 401, 403, 413, 415, 429, 503),
    },
)
token = extend_schema(
    operation_id="device_token",
    tags=["device login"],
    summary="Redeem a device code, or refresh (RFC 8628 §3.4, RFC 6749 §6)",
    request=_bodies(
        parameters.TOKEN, {"grant_type": server.DEVICE_CODE, "device_code": DEVICE_CODE}
    ),
    auth=CLIENT,
    responses={
        200: build_rest_response(
            "The tokens. A repeated refresh within a minute gets the same ones.", ref("Tokens")
        ),
        **OAUTH.responses(
            401,
            413,
            415,
            503,
            s400="`authorization_pending`, `slow_down`, `access_denied`, `expired_token`, "
            "`invalid_grant`, `invalid_scope`, `invalid_request`, `unsupported_grant_type` or "
            "`unauthorized_client`.",
            s429="Too many device codes from this address that nobody was given.",
        ),
    },
)
revoke = extend_schema(
    operation_id="device_revoke",
    tags=["device login"],
    summary="Log a device out (RFC 7009)",
    request=_bodies(parameters.REVOKE, {"token": REFRESH_TOKEN}),
    auth=CLIENT,
    responses={
        200: build_rest_response(
            "The token does not work any more, whatever it was.", {"type": "object"}
        ),
        **OAUTH.responses(400, 401, 413, 415, 503),
    },
)
verify = extend_schema(
    operation_id="device_verify",
    tags=["device login"],
    summary="What a user code stands for",
    parameters=[
        OpenApiParameter(
            "user_code",
            {"type": "string", "examples": [USER_CODE]},
            required=True,
            description="In any case, with or without the dash.",
        )
    ],
    responses={
        200: build_rest_response(
            "It waits, or was answered.", {"oneOf": [ref("Pending"), ref("Authorized")]}
        ),
        **BROWSER.responses(400, 403, 404, 410, 429, 503),
    },
)
authorize = extend_schema(
    operation_id="device_authorize",
    tags=["device login"],
    summary="Allow a device to act for the logged-in user",
    request={
        JSON: record(
            {"user_code": string("As the device shows it.")}, examples=[{"user_code": USER_CODE}]
        )
    },
    responses={
        200: build_rest_response("The device is connected.", ref("Authorized")),
        **BROWSER.responses(400, 401, 403, 404, 410, 413, 415, 429, 503),
    },
)
me = extend_schema(
    operation_id="me",
    tags=["device login"],
    summary="Who is calling",
    responses={
        200: build_rest_response("The caller.", ref("Me")),
        **BROWSER.responses(400, 401, 503),
    },
)

PATHS: Node = {
    "/.well-known/oauth-authorization-server": {
        "get": {
            "operationId": "oauth_metadata",
            "tags": ["device login"],
            "summary": "The authorization server's metadata (RFC 8414)",
            "security": [],
            "responses": {
                "200": build_response(
                    "Where the routes are, and what they understand.",
                    record(
                        {
                            "issuer": string(format="uri"),
                            "device_authorization_endpoint": string(format="uri"),
                            "token_endpoint": string(format="uri"),
                            "revocation_endpoint": string(format="uri"),
                            **{
                                name: {"type": "array", "items": string()}
                                for name in (
                                    "grant_types_supported",
                                    "response_types_supported",
                                    "scopes_supported",
                                    "token_endpoint_auth_methods_supported",
                                    "revocation_endpoint_auth_methods_supported",
                                )
                            },
                        }
                    ),
                ),
                **ENVELOPE.answers(s400="The address is malformed; the answer is plain text."),
            },
        }
    }
}
