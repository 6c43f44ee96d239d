"""The page of the box, which works without JavaScript, and its results for the open box.

What was typed comes by POST. Whole keys and codes are never part of an address, which browsers,
proxies and logs keep; any other term becomes one, so that the way back leads to its results.
"""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from smartspec.admin.find.finders import list_kinds
from smartspec.admin.find.hits import Hits, find_hits
from smartspec.admin.find.terms import Term, read_term


@sensitive_post_parameters("q")
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponseBase:
    """Go to what was typed if it is one thing, else list what matches."""
    if request.method != "POST":
        return _show_address(request, read_term(request.GET.get("q", "")))
    term = read_term(request.POST.get("q", ""))
    hits = find_hits(request, term)
    if "box" in request.POST:
        return TemplateResponse(request, "smartspec/find/results.html", _describe(term, hits))
    if len(hits.rows) == 1 and not hits.is_cut:
        return redirect(hits.rows[0].link)
    if term.is_secret or not term.text:
        return _show(request, term, hits)
    return redirect(f"{reverse('admin_find')}?{urlencode({'q': term.text})}")


def _show_address(request: HttpRequest, term: Term) -> HttpResponse:
    if not term.is_secret:
        return _show(request, term, find_hits(request, term))
    text = _(
        "This address contained a key or a code. Nothing was looked up. Paste it into the box: it "
        "is then sent where neither browser nor log keeps it."
    )
    messages.warning(request, text)
    return redirect("admin_find")


def _show(request: HttpRequest, term: Term, hits: Hits) -> HttpResponse:
    context = admin.site.each_context(request) | {
        "title": _("Find"),
        "kinds": [capfirst(str(model._meta.verbose_name_plural)) for model in list_kinds(request)],
        **_describe(term, hits),
    }
    return TemplateResponse(request, "smartspec/find/page.html", context)


def _describe(term: Term, hits: Hits) -> dict[str, Any]:
    """Return what the results need. A secret is not written back to the page."""
    return {
        "typed": "" if term.is_secret else term.text,
        "is_asked": bool(term.text or term.token or term.is_too_long),
        "is_too_long": term.is_too_long,
        "hits": hits,
    }
