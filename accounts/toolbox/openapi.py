"""Building blocks of the OpenAPI 3.1 document. Each application describes its own routes with them.

Plain Django views are described by path items; views of Django REST framework by `extend_schema`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from accounts.toolbox import headers

Node = dict[str, Any]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
EVENTS = "text/event-stream"
BEARER: Node = {"bearer": []}
SESSION: Node = {"session": []}
SESSION_WITH_CSRF: Node = {"session": [], "csrf": []}

SECURITY_SCHEMES: Node = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A device's access token, or an API key (`sk-…`). "
        "Either may come as `x-api-key` instead.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "A logged-in browser.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRFToken",
        "description": "The value of the cookie `csrftoken`; needed with a session for every "
        "request that may change something.",
    },
}


def ref(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: Node, *, optional: Iterable[str] = (), **more: Any) -> Node:
    """Return an object schema. All properties are required except those named in `optional`."""
    required = [name for name in properties if name not in set(optional)]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        **more,
    }


def string(description: str = "", **more: Any) -> Node:
    return {"type": "string", **({"description": description} if description else {}), **more}


def integer(description: str = "", **more: Any) -> Node:
    return {"type": "integer", **({"description": description} if description else {}), **more}


def header(description: str, schema: Node | None = None, *, required: bool = False) -> Node:
    """Return a header object for a response."""
    return {
        "description": description,
        "schema": schema or {"type": "string"},
        "required": required,
    }


def parameter(
    name: str, where: str, description: str, schema: Node | None = None, **more: Any
) -> Node:
    return {
        "name": name,
        "in": where,
        "description": description,
        "schema": schema or {"type": "string"},
        **more,
    }


def build_response_headers(*names: str) -> Node:
    """Return the header objects of our own response headers."""
    return {name: header(headers.SENT[name]) for name in names}


def build_request_header(name: str) -> Node:
    """Return the parameter object of one of our own request headers."""
    return parameter(name, "header", headers.RECEIVED[name], required=False)


def build_response(
    description: str, schema: Node, *, example: Any = None, media: str = JSON, **more: Any
) -> Node:
    """Return a response object for a plain Django view."""
    shown = {} if example is None else {"example": example}
    return {"description": description, "content": {media: {"schema": schema, **shown}}, **more}


def build_rest_response(description: str, schema: Any, *, example: Any = None) -> OpenApiResponse:
    """Return a response for a view of Django REST framework; `schema` may be a serializer."""
    examples = (
        [] if example is None else [OpenApiExample("Example", value=example, response_only=True)]
    )
    return OpenApiResponse(schema, description, examples)


@dataclass(frozen=True, slots=True)
class ErrorAnswers:
    """The error responses of one dialect: the schema's name, and the meaning of each status."""

    schema: str
    meanings: Mapping[int, str]

    def answers(self, *statuses: int, **others: str) -> Node:
        """Return the error responses of a plain view. `others` override meanings, as `s404="…"`."""
        return {
            str(status): build_response(meaning, ref(self.schema))
            for status, meaning in self._chosen(statuses, others).items()
        }

    def responses(self, *statuses: int, **others: str) -> dict[int, OpenApiResponse]:
        """Return the error responses of a view of Django REST framework."""
        return {
            status: build_rest_response(meaning, ref(self.schema))
            for status, meaning in self._chosen(statuses, others).items()
        }

    def _chosen(self, statuses: Iterable[int], others: Mapping[str, str]) -> dict[int, str]:
        own = {int(name.removeprefix("s")): meaning for name, meaning in others.items()}
        return dict(sorted(({status: self.meanings[status] for status in statuses} | own).items()))


ENVELOPE = ErrorAnswers(
    "Error",
    {
        400: "The request is malformed; `param` names the wrong parameter.",
        401: "No credentials, or they are unknown, expired or revoked.",
        403: "The credentials are valid, but do not allow this.",
        404: "The object does not exist.",
        413: "The body is too large.",
        429: "Too many requests or tokens in this minute.",
        503: "The database is unavailable or busy. Nothing was written.",
    },
)

SCHEMAS: Node = {
    "Error": record(
        {
            "error": record(
                {
                    "message": string("For people, in their language (`Accept-Language`)."),
                    "type": string("A group of codes, as in OpenAI's API."),
                    "param": {
                        "type": ["string", "null"],
                        "description": "The parameter that is wrong.",
                    },
                    "code": string("For programs."),
                }
            )
        },
        description="OpenAI's error envelope. Further keys may come with a code.",
        examples=[
            {
                "error": {
                    "message": "The access token is missing, expired or revoked.",
                    "type": "authentication_error",
                    "param": None,
                    "code": "invalid_token",
                }
            }
        ],
    )
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.access.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> Node:
        return dict(SECURITY_SCHEMES["bearer"])


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"

    def get_security_requirement(self, auto_schema: Any) -> Node:
        return SESSION if auto_schema.method == "GET" else SESSION_WITH_CSRF

    def get_security_definition(self, auto_schema: Any) -> Node:
        return dict(SECURITY_SCHEMES["session"])
