"""What caused a response with a status of 500 or more, for the log.

A cause is written at once, and then at most once in WINDOW_SECONDS: when the database is away,
every request has the same one.
"""

import logging
import time
from dataclasses import dataclass
from typing import TypeVar

from django.http import HttpRequest, HttpResponseBase

WINDOW_SECONDS = 60
MAX_LENGTH = 300
MAX_KINDS = 100  # exceptions have few classes; SQLSTATE comes from the server
logger = logging.getLogger(__name__)

Response = TypeVar("Response", bound=HttpResponseBase)


@dataclass(slots=True)
class Window:
    """The time since a kind of cause was written, and how often it came again since."""

    since: float
    suppressed: int = 0


# By the name of the class and the SQLSTATE, which is empty if PostgreSQL did not send one.
_windows: dict[tuple[str, str], Window] = {}


def attach_cause(response: Response, cause: BaseException) -> Response:
    """Note for `log_cause` which exception a response tells of."""
    response.cause = cause  # type: ignore[attr-defined]
    return response


def log_cause(request: HttpRequest, response: HttpResponseBase) -> None:
    """Log what caused this response, unless the same was logged within WINDOW_SECONDS.

    Does nothing for a response without a cause: Django logs it. The request's id is in every line
    of the log. The query of its address is left out, because it can contain secrets.
    """
    cause: BaseException | None = getattr(response, "cause", None)
    if cause is None:
        return
    response._has_been_logged = True  # type: ignore[attr-defined] # Django would log the path only
    root = find_root(cause)
    kind = type(root).__name__, str(getattr(root, "sqlstate", None) or "")
    now = time.monotonic()
    window = _windows.get(kind)
    if window and now - window.since < WINDOW_SECONDS:
        window.suppressed += 1
        return
    if window is None and len(_windows) >= MAX_KINDS:
        _windows.clear()
    _windows[kind] = Window(now)
    name, sqlstate = kind
    more = f", {window.suppressed} more since the last line" if window else ""
    logger.error(
        "%s %s answered %d: %s%s: %s%s",
        request.method,
        _escape(request.path),
        response.status_code,
        name,
        f" (SQLSTATE {sqlstate})" if sqlstate else "",
        describe(root),
        more,
    )


def find_root(cause: BaseException) -> BaseException:
    """Return the exception of the driver, which Django's own one is raised from."""
    root = cause
    while root.__cause__ is not None and type(root).__module__.startswith("django.db"):
        root = root.__cause__
    return root


def describe(cause: BaseException) -> str:
    """Return the first line of the message. PostgreSQL's second line quotes values of rows.

    What a provider said is left out, because it may repeat our key: the line of the completion has
    it without the key, and the same request id.
    """
    return _escape(str(cause).strip().partition("\n")[0][:MAX_LENGTH])


def _escape(text: str) -> str:
    """Return a text on one line: a line feed in an address must not begin a line of the log."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
