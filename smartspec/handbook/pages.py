"""The pages of the documentation. They are public, and the same for everybody."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from llmproxy import catalogue
from llmproxy.receipts.charging_rules import CASES
from smartspec.handbook.chapters import BY_SLUG, CHAPTERS, REFERENCE, Chapter, choose_template
from smartspec.handbook.examples import write_examples
from smartspec.handbook.reference import describe_api


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """`/docs`: the list of chapters."""
    return render(request, "smartspec/handbook/contents.html", _build_context(None))


@require_safe
def chapter(request: HttpRequest, slug: str) -> HttpResponse:
    """`/docs/quick-start` and the other chapters."""
    if slug == REFERENCE.slug:
        return reference(request)
    if slug not in BY_SLUG:
        raise Http404
    context = _build_context(BY_SLUG[slug]) | {
        "prose": choose_template(slug),
        "examples": write_examples(catalogue.list_models(None)),
        "cases": CASES,
    }
    return render(request, "smartspec/handbook/chapter.html", context)


@require_safe
def reference(request: HttpRequest, slug: str = "") -> HttpResponse:
    """`/docs/api`: all routes; `/docs/api/gateway` and the like: a group of them in full."""
    groups = describe_api()
    if slug and slug not in groups:
        raise Http404
    context = _build_context(REFERENCE) | {"groups": groups, "group": groups.get(slug)}
    return render(request, "smartspec/handbook/reference.html", context)


def _build_context(here: Chapter | None) -> dict[str, Any]:
    chapters = (*CHAPTERS, REFERENCE)
    place = chapters.index(here) if here else -1
    return {
        "chapters": chapters,
        "chapter": here,
        "following": chapters[place + 1] if place + 1 < len(chapters) else None,
        "site_section": "docs",
    }
