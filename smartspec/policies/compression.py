"""Pages are sent compressed; responses for programs are not.

A secret in a compressed page could be guessed from its length (BREACH). Django pads the compressed
text by a random length and masks the CSRF token anew in each page. Static files are compressed when
they are collected.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressPages(GZipMiddleware):
    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        is_page = response.get("Content-Type", "").startswith("text/html")
        if not is_page or not isinstance(response, HttpResponse):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
