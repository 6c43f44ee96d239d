"""What the user of a device is told by mail, and the link in it that takes an approval back."""

import uuid
from typing import Any

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone, translation

from accounts import mails
from accounts.models import User
from accounts.toolbox.request_source import Source, describe
from deviceauth.models import DeviceCode, DeviceSession

SALT = "deviceauth.undo"


def device_allowed(code: DeviceCode, user: User, source: Source) -> None:
    """In the language of the page on which it was allowed."""
    facts = {
        "browser": describe(source.user_agent),
        "browser_address": source.address,
        "link": undo_link(code.approval),
    }
    mails.tell(user, "deviceauth/email/device_allowed", **_facts(code), **facts)


def old_token_used(session: DeviceSession, source: Source) -> None:
    """A refresh token came twice, so somebody may have a copy; in the language in which the device was allowed."""
    with translation.override(session.language or settings.LANGUAGE_CODE):
        facts = {
            "device": session.name,
            "application": session.application.name,
            "address": source.address,
        }
        mails.tell(session.user, "deviceauth/email/old_token_used", when=timezone.now(), **facts)


def _facts(code: DeviceCode) -> dict[str, Any]:
    return {
        "device": code.device,
        "application": code.application.name or code.application.client_id,
        "address": code.address,
        "when": code.approved_at,
    }


def undo_link(approval: uuid.UUID | None) -> str:
    """Works without a log-in, because whoever allowed the device may have changed the password since."""
    return str(settings.PUBLIC_ORIGIN) + reverse(
        "device_undo", args=[signing.dumps(str(approval), salt=SALT)]
    )


def approval_of(token: str) -> uuid.UUID | None:
    """The approval that a link names; None if we did not make it or it is too old."""
    try:
        return uuid.UUID(signing.loads(token, salt=SALT, max_age=settings.DEVICE_UNDO_SECONDS))
    except signing.BadSignature:
        return None
