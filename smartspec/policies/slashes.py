"""Every page works with and without the last slash of its address."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.http import escape_leading_slashes

from smartspec.middleware import find_dialect

ADMIN = "/admin/"  # It adds slashes itself.


class OtherSlash:
    """Redirects from an address that does not exist to the one with the other ending, if there is.

    The redirect is 308, so that a form is sent again as it was. Programs get their 404.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code != 404 or request.path.startswith(ADMIN):
            return response
        path = request.path_info
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        if is_valid_path(path) or not is_valid_path(other):
            return response
        if find_dialect(request).is_for_programs:
            return response
        query = iri_to_uri(request.META.get("QUERY_STRING", ""))
        address = escape_leading_slashes(escape_uri_path(other))
        moved = redirect(f"{address}?{query}" if query else address, permanent=True)
        moved.status_code = 308
        return moved
