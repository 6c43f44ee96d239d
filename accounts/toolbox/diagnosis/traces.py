"""The trace of a request: the id that the caller gave it, and W3C Trace Context."""

import os
import re
import secrets

from django.http import HttpRequest

from accounts.toolbox import headers

TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")
# W3C Trace Context §3.2.2: version, trace-id, parent-id, trace-flags, and what a later version adds
TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?\Z"
)
TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}\Z")
SAMPLED = 1  # the only flag of version 00; others are sent as 0 (§4.3)
_TRACE_ID, _TRACEPARENT, _TRACESTATE = map(
    headers.wsgi_name, (headers.TRACE_ID, headers.TRACEPARENT, headers.TRACESTATE)
)


def choose_trace_id(request: HttpRequest) -> str:
    """Return the caller's trace id, or a new one.

    It is `x-trace-id` if that is short printable ASCII, else the trace-id of `traceparent`.
    """
    sent = request.META.get(_TRACE_ID, "")
    if TRACE_ID.match(sent):
        return str(sent)
    parent = _read_parent(request)
    return parent[0] if parent else secrets.token_hex(16)


def continue_trace(request: HttpRequest) -> dict[str, str]:
    """Return the headers that continue the caller's trace at a provider; none without a trace.

    `traceparent` has a new parent-id, which stands for this request; `tracestate` is passed on. A
    malformed `traceparent` is ignored, and `tracestate` with it (W3C Trace Context §4.3).
    """
    if (parent := _read_parent(request)) is None:
        return {}
    trace_id, flags = parent
    own = os.urandom(8).hex()
    continued = {headers.TRACEPARENT: f"00-{trace_id}-{own}-{flags & SAMPLED:02x}"}
    state = request.META.get(_TRACESTATE, "")
    if TRACESTATE.match(state):
        continued[headers.TRACESTATE] = state
    return continued


def _read_parent(request: HttpRequest) -> tuple[str, int] | None:
    """Return the trace-id and the flags of `traceparent`; None if it is missing or malformed."""
    sent = request.META.get(_TRACEPARENT)
    found = TRACEPARENT.match(sent) if sent else None
    if found is None or (found[1] == "00" and found[4]):
        return None
    return found[2], int(found[3], 16)
