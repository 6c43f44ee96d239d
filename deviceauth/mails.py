"""Mails to users about their devices, and the signed link in them that undoes an approval."""

import uuid
from typing import Any

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone, translation

from accounts import mails
from accounts.models import AccountAlert, User
from accounts.toolbox.request_source import Source, describe_user_agent
from deviceauth.models import DeviceCode, DeviceSession

SALT = "deviceauth.undo"


def queue_device_allowed(code: DeviceCode, user: User, source: Source) -> None:
    """Queue the mail about an approved device, in the language of the page that approved it."""
    facts = {
        "browser": describe_user_agent(source.user_agent),
        "browser_address": source.address,
        "link": build_undo_link(code.approval),
    }
    mails.queue_mail(user, "deviceauth/email/device_allowed", **_describe_approval(code), **facts)
    device = AccountAlert.Kind.DEVICE
    AccountAlert.objects.note(user, device, is_mailed=True, device=code.device)


def queue_token_reused(session: DeviceSession, source: Source) -> None:
    """Queue the mail about a refresh token that was used twice, so somebody may have a copy.

    It is in the language in which the device was approved.
    """
    with translation.override(session.language or settings.LANGUAGE_CODE):
        facts = {
            "device": session.name,
            "application": session.application.name,
            "address": source.address,
        }
        mails.queue_mail(
            session.user, "deviceauth/email/old_token_used", when=timezone.now(), **facts
        )


def _describe_approval(code: DeviceCode) -> dict[str, Any]:
    return {
        "device": code.device,
        "application": code.application.name or code.application.client_id,
        "address": code.address,
        "when": code.approved_at,
    }


def build_undo_link(approval: uuid.UUID | None) -> str:
    """Return the link that undoes an approval.

    It works without a log-in, because an intruder who approved the device may also have changed the
    password.
    """
    return str(settings.PUBLIC_ORIGIN) + reverse(
        "device_undo", args=[signing.dumps(str(approval), salt=SALT)]
    )


def read_undo_link(token: str) -> uuid.UUID | None:
    """Return the approval of a link's token; None if its signature is wrong or it is too old."""
    try:
        return uuid.UUID(signing.loads(token, salt=SALT, max_age=settings.DEVICE_UNDO_SECONDS))
    except signing.BadSignature:
        return None
