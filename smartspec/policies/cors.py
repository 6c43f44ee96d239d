"""What pages of other origins may send and read (CORS): docs/decisions/0030.

Source: Fetch standard, "HTTP CORS protocol".
"""

import re

from corsheaders.middleware import ACCESS_CONTROL_ALLOW_HEADERS, CorsMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

ACCESS_CONTROL_REQUEST_HEADERS = "access-control-request-headers"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")  # RFC 9110 §5.6.2
MAX_NAMES = 100


class ReflectingCorsMiddleware(CorsMiddleware):
    """Allows an accepted origin every request header that its preflight names.

    Each version of an SDK sends further headers of its own (`x-stainless-…`), and one that is
    missing here would end all its calls. Nothing is granted that needs to be refused: no cookies
    are allowed, and any other program may send these headers anyway.
    """

    def add_response_headers(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        super().add_response_headers(request, response)
        if request.method == "OPTIONS" and ACCESS_CONTROL_ALLOW_HEADERS in response:
            patch_vary_headers(response, (ACCESS_CONTROL_REQUEST_HEADERS,))
            if names := _read_names(request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS, "")):
                response[ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join(names)
        return response


def _read_names(requested: str) -> list[str]:
    """Return the names of headers in this list, without what cannot be one."""
    names = [name.strip() for name in requested.split(",", MAX_NAMES)[:MAX_NAMES]]
    return [name for name in names if TOKEN.match(name)]
