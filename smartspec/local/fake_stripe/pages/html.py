"""Small pieces of HTML. Everything that is no `Markup` is escaped."""

import html
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from smartspec.local.fake_stripe.api import Answer
from smartspec.local.fake_stripe.wire.money import format_amount

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<header class="test"><b>Test</b> This is a fake Stripe. No money moves.</header>
<main>
$content
</main>
</body>
</html>
""")
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "Referrer-Policy": "no-referrer",
}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **values: object) -> Markup:
    """Fill the places `$name` of a template with escaped text, or with markup as it is."""
    return Markup(Template(template).substitute({n: escape(v) for n, v in values.items()}))


def escape(value: object) -> str:
    return value if isinstance(value, Markup) else html.escape("" if value is None else str(value))


def join(parts: list[Markup]) -> Markup:
    return Markup("\n".join(parts))


def answer_html(title: str, content: Markup, *, status: int = 200) -> Answer:
    page = PAGE.substitute(title=html.escape(title), style=read_style(), content=content)
    return Answer(status, page.encode(), HEADERS)


def redirect(url: str) -> Answer:
    """Send the browser to another page with GET."""
    return Answer(303, b"", {"Location": url, "Cache-Control": "no-store"})


@cache
def read_style() -> str:
    return Path(__file__).with_name("style.css").read_text()


def format_price(amount: int, currency: str) -> str:
    return format_amount(amount, currency)


def name_host(url: str | None) -> str:
    return urlsplit(url or "").netloc or "the shop"


def show_notice(text: str, *, kind: str = "bad") -> Markup:
    return fill('<p class="notice $kind" role="alert">$text</p>', kind=kind, text=text)


def show_message(title: str, text: str, link: str | None = None, label: str = "") -> Markup:
    """Return a whole card with one sentence and one way on."""
    button = fill('<p><a class="button" href="$link">$label</a></p>', link=link, label=label)
    return fill(
        '<section class="card narrow"><h1>$title</h1><p>$text</p>$button</section>',
        title=title,
        text=text,
        button=button if link else Markup(""),
    )
