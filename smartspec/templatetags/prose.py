"""Shows the descriptions of the OpenAPI document, which are in Markdown."""

import re

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

CODE = re.compile(r"`([^`]+)`")
BLANK = re.compile(r"\n\s*\n")
INDENT = "    "


@register.filter("in_paragraphs")
def show_in_paragraphs(text: str) -> SafeString:
    """Return paragraphs of HTML; a block that is indented by four spaces is shown as it is."""
    blocks = [block for block in BLANK.split(text.strip("\n")) if block.strip()]
    return format_html_join("", "{}", ((_show_block(block),) for block in blocks))


@register.filter("with_code")
def show_with_code(text: str) -> SafeString:
    """Return a line of HTML in which what is between backticks is code."""
    # Each piece is escaped before it is joined with our own tags.
    return mark_safe(CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S308


def _show_block(block: str) -> SafeString:
    if block.startswith(INDENT):
        lines = [line.removeprefix(INDENT) for line in block.splitlines()]
        return format_html("<pre><code>{}</code></pre>", "\n".join(lines))
    return format_html("<p>{}</p>", show_with_code(block))
