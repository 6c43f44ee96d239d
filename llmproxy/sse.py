"""Server-sent events cut out of a byte stream, one whole event at a time. Pure.

sseclient-py parses the events; it would buffer an endless one, and takes quadratic time over many lines.
Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import re
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.utils.translation import gettext as _

from llmproxy.exceptions import UpstreamError

BLANK_LINE = re.compile(rb"\n\r?\n|\r\r")
LONGEST_MARK = 3
MAX_LINES = 256
BOM = b"\xef\xbb\xbf"


def whole_events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Events with LF line ends, each ended by a blank line. Raises UpstreamError for one without end."""
    pending = bytearray()
    started = False
    for chunk in chunks:
        seen = max(len(pending) - LONGEST_MARK, 0)
        pending += chunk
        if not started and len(pending) >= len(BOM):
            started = True
            pending = pending.removeprefix(BOM)
        cut = 0
        for mark in BLANK_LINE.finditer(pending, seen):
            yield _tidy(bytes(pending[cut : mark.end()]))
            cut = mark.end()
        del pending[:cut]
        if len(pending) > settings.LLM_MAX_EVENT_BYTES:
            raise UpstreamError(_("The provider sent an event without end."), detail="event too large")
    if pending:
        yield _tidy(bytes(pending))


def _tidy(event: bytes) -> bytes:
    lines = event.splitlines()
    if len(lines) > MAX_LINES or len(event) > settings.LLM_MAX_EVENT_BYTES:
        raise UpstreamError(_("The provider sent an event without end."), detail="event too large")
    return b"\n".join(line for line in lines if line) + b"\n\n"
