"""Refusals of the device flow, in its two error formats.

OAuth2Error (RFC 6749 §5.2, RFC 8628 §3.5): for devices, as `{"error", "error_description"}`
├── AuthorizationPending, SlowDown, AccessDenied, ExpiredToken
└── InvalidGrant, InvalidRequest, InvalidClient, TooManyRequests

UserCodeRefusal (accounts.toolbox.exceptions.Refusal): for people and their browsers
├── MalformedUserCode
├── UnknownUserCode, UsedUserCode (RefusedUserCode), ExpiredUserCode
└── LoggedOut, TooManyTries

Only the text of ExpiredToken may contain "expired", because the existing desktop application stops
polling when it reads that word.
"""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
)
from oauthlib.oauth2.rfc8628 import errors

from accounts.toolbox.exceptions import Refusal


class AuthorizationPending(errors.AuthorizationPendingError):
    description = "The user has not answered yet."


class SlowDown(errors.SlowDownError):
    """The device polled too early. `interval` is the new polling interval in seconds."""

    description = "Too many polls. Wait longer between them."

    def __init__(self, interval: int) -> None:
        super().__init__()
        self.interval = interval

    @property
    def twotuples(self) -> list[tuple[str, Any]]:
        return [*super().twotuples, ("interval", self.interval)]


class AccessDenied(errors.AccessDenied):
    description = "The user refused."


class ExpiredToken(errors.ExpiredTokenError):
    description = "The device code has expired. Ask for a new one."


class InvalidGrant(InvalidGrantError):
    description = "Unknown, used or revoked."


class InvalidRequest(InvalidRequestError):
    pass


class InvalidClient(InvalidClientError):
    description = "Unknown client, or its authentication failed."


class TooManyRequests(OAuth2Error):
    """Too many unknown device codes came from one network. `retry_after` is in seconds."""

    error = "rate_limit_exceeded"
    status_code = 429
    description = "Too many unknown codes."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class UserCodeRefusal(Refusal):
    """A user code was refused. `title` is the heading of the page, `text` its explanation."""

    title: str | Promise
    text: str | Promise

    def __init__(self) -> None:
        super().__init__(str(self.text))


class MalformedUserCode(UserCodeRefusal):
    code = "invalid_user_code"
    title = _("This is not a valid code")
    text = _(
        "A code has eight letters, like BCDF-GHJK, and no digits or vowels. If other letters "
        "appear when you type, switch the keyboard to English."
    )


class UnknownUserCode(UserCodeRefusal):
    status = 404
    code = "unknown_user_code"
    title = _("We do not know this code")
    text = _("Check the code on your device and enter it again.")


class UsedUserCode(UserCodeRefusal):
    status = 404
    code = "used_user_code"
    title = _("This code has already been used")
    text = _("Each code works once. If you still need one, ask for a new code on your device.")


class RefusedUserCode(UsedUserCode):
    """The user has denied this request before, perhaps in another window."""

    title = _("You have refused this device")
    text = _("It has no access to your account. To connect it, ask for a new code on your device.")


class ExpiredUserCode(UserCodeRefusal):
    status = 410
    code = "expired_user_code"
    title = _("This code has expired")
    text = _("Codes are valid for ten minutes. Ask for a new code on your device.")


class LoggedOut(UserCodeRefusal):
    """The password changed, or the account was deactivated, while this page was open."""

    status = 403
    code = "logged_out"
    title = _("Log in again")
    text = _("Your password has just been changed. Log in again, then enter the same code again.")


class TooManyTries(UserCodeRefusal):
    """Too many wrong user codes came from the user or network. `retry_after` is in seconds."""

    status = 429
    code = "rate_limit_exceeded"
    title = _("Too many wrong codes")
    text = _("Wait a few minutes, then try again.")

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after
