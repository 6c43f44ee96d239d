"""The last step before the log: replace everything that looks like a secret with [secret]."""

import logging
import re

from accounts.toolbox.diagnosis.request_ids import get_request_id

SECRETS = re.compile(
    r"(?P<name>(?:user_code|device_code|access_token|refresh_token|client_secret|password\d?|token|sessionid)"
    r"[\\'\"]{0,2}\s*(?:[=:]|%3D)\s*[\[\\'\"]{0,3}"
    r"|Bearer\s+|Basic\s+|(?:/|%2F)auth(?:/|%2F)device(?:/|%2F)(?:undo|confirm)(?:/|%2F)|/password/reset/key/|(?<![A-Za-z0-9])sk-"
    r"|(?<![A-Za-z0-9])(?:(?:sk|rk)_(?:live|test)|whsec)_)"
    r"(?P<secret>[^\s'\"\\,&\]}]{4,})",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    return SECRETS.sub(r"\g<name>[secret]", text)


class RedactingFormatter(logging.Formatter):
    """A formatter that redacts tracebacks, too, which a logging filter would not see.

    It adds `request_id`, which is `-` outside of requests.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = get_request_id() or "-"
        return redact(super().format(record))
