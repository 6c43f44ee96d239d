"""The documentation in both languages, and the API reference."""

import re
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import translation

from smartspec.handbook.chapters import CHAPTERS, choose_template
from smartspec.handbook.reference import describe_api, describe_type
from smartspec.openapi import build_document
from smartspec.templatetags.prose import show_in_paragraphs, show_with_code
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
THAI = re.compile(r"[\u0e00-\u0e7f]")
# What both languages must have alike: anchors, examples, and what is written as code.
ALIKE = re.compile(r'<h\d id="[^"]+"|<pre id="[^"]+"|<code>[^<]+</code>')


def read(slug: str, language: str) -> str:
    response = Client(headers={"Accept-Language": language}).get(f"/docs/{slug}")
    assert response.status_code == 200
    page = " ".join(response.content.decode().split())
    return page.partition("<article")[2].partition("</article>")[0]


def test_each_chapter_says_the_same_in_both_languages() -> None:
    for slug in (chapter.slug for chapter in CHAPTERS):
        english, thai = read(slug, "en"), read(slug, "th")
        assert not THAI.search(english), slug
        assert THAI.search(thai), slug
        assert sorted(ALIKE.findall(english)) == sorted(ALIKE.findall(thai)), slug
        for language in ("en", "th"):
            with translation.override(language):
                assert choose_template(slug) == f"smartspec/handbook/{language}/{slug}.html"


def test_the_contents_lead_to_each_chapter(client: Client) -> None:
    page = client.get("/docs").content.decode()
    assert all(f'href="/docs/{chapter.slug}"' in page for chapter in CHAPTERS)
    assert 'href="/docs/api"' in page
    assert client.get("/docs/no-such-chapter").status_code == 404
    assert client.get("/docs/api/no-such-group").status_code == 404
    assert client.post("/docs").status_code == 405


def test_the_reference_has_every_route_answer_and_property_of_the_document(client: Client) -> None:
    document: Any = orjson.loads(build_document())
    routes = {
        (method.upper(), path, tuple(sorted(node["responses"])))
        for path, item in document["paths"].items()
        for method, node in item.items()
    }
    groups = describe_api().values()
    assert routes == {
        (each.method, each.path, tuple(answer.status for answer in each.answers))
        for group in groups
        for each in group.operations
    }
    shown = {schema.name: schema for group in groups for schema in group.schemas}
    for name, node in document["components"]["schemas"].items():
        fields = {field.name for field in shown[name].fields} if name in shown else set()
        assert set(node.get("properties", {})) <= fields, name


def test_the_pages_of_the_reference_are_complete_and_not_too_long(client: Client) -> None:
    groups = describe_api()
    for slug in ("", *groups):
        page = client.get(f"/docs/api/{slug}".rstrip("/")).content.decode()
        assert len(page) < 110_000, slug
        anchors = set(re.findall(r'id="([^"]+)"', page))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors, slug
        shown = [groups[slug]] if slug else groups.values()
        assert all(each.path in page for group in shown for each in group.operations), slug


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "integer, 1 to 1,000"),
        ({"type": ["number", "null"], "minimum": 0}, "number or null, from 0"),
        (
            {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/A"}},
            "list of A or null",
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object"}]}, "A and object"),
        ({"type": "string", "enum": ["a", "b"]}, "“a” or “b”"),
        ({"type": "string", "format": "uri"}, "string, uri"),
        ({"type": "integer", "maximum": 9}, "integer, up to 9"),
        ({}, "anything"),
    ],
)
def test_a_type_is_put_into_words(node: Any, words: str) -> None:
    assert describe_type(node) == words


def test_descriptions_cannot_bring_markup_of_their_own() -> None:
    assert show_with_code("`<b>` & <i>") == "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"
    shown = show_in_paragraphs("One `x`.\n\n    <a>\n    b\n\nTwo")
    assert shown == "<p>One <code>x</code>.</p><pre><code>&lt;a&gt;\nb</code></pre><p>Two</p>"


def test_what_is_charged_when_has_every_case(client: Client) -> None:
    assert "Idempotency-Key" in extract_text(client.get("/docs/charging"))
