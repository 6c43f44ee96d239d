"""Makes long pages of the admin light."""

import re

from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# A space that does not break is none of these.
RUN = re.compile(r"[ \t\n]{2,}|\n")


@register.simple_block_tag(name="compact")
def compact_space(content: str) -> SafeString:
    """Write each run of white space as one space, which looks the same but in a <pre>."""
    return mark_safe(RUN.sub(" ", content))  # noqa: S308 – it has been rendered and escaped
