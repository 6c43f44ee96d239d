"""The verbs of device sessions: begin, refresh, rename, limit, revoke."""

import uuid
from typing import Any

from django.db.transaction import atomic
from django.utils import timezone
from oauth2_provider.models import Application, RefreshToken

from accounts.access import events
from accounts.access.api_keys import Rates
from accounts.access.events import Kind
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN, Source
from deviceauth import mails
from deviceauth.exceptions import InvalidGrant
from deviceauth.models import DeviceCode, DeviceSession

MAX_NAME = 100  # characters


def begin(
    *, code: DeviceCode, user: User, token_family: uuid.UUID, source: Source
) -> DeviceSession:
    """Create the session of a device that has just redeemed its code."""
    return DeviceSession.objects.create(
        token_family=token_family,
        user=user,
        application_id=code.application_id,
        name=code.device[:MAX_NAME],
        scope=code.scope,
        address=source.address,
        approval=code.approval,
        language=code.language,
    )


def touch(*, token_family: uuid.UUID, source: Source) -> None:
    """Record a refresh, in the transaction that writes its tokens.

    Raises InvalidGrant if the session was revoked.
    """
    live = DeviceSession.objects.filter(token_family=token_family, revoked_at=None)
    if not live.update(last_used_at=timezone.now(), address=source.address):
        raise InvalidGrant


def rename(*, session: DeviceSession, name: str, source: Source = UNKNOWN) -> bool:
    """Rename a device. False if its session was revoked or it has this name already."""
    with atomic():
        differing = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).exclude(name=name)
        renamed = differing.update(name=name[:MAX_NAME])
        if renamed:
            _record(Kind.DEVICE_RENAMED, session, source, now=name)
    return bool(renamed)


def set_budget(
    *, session: DeviceSession, monthly_budget: int | None, source: Source = UNKNOWN
) -> bool:
    """Limit what a device spends in a calendar month (UTC), from its next call on.

    `monthly_budget` is in whole credits, None for no limit. False, and nothing changes, if the
    session was revoked.
    """
    with atomic():
        limited = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).update(
            monthly_budget=monthly_budget
        )
        if limited and monthly_budget != session.monthly_budget:
            _record(
                Kind.DEVICE_LIMITED, session, source, was=session.monthly_budget, now=monthly_budget
            )
    return bool(limited)


def set_rates(*, session: DeviceSession, rates: Rates, source: Source = UNKNOWN) -> bool:
    """Set the rate limits of a device, which are named in accounts.models.LIMITS.

    False, and nothing changes, if the session was revoked.
    """
    was = {name: getattr(session, name) for name in rates}
    with atomic():
        limited = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).update(**rates)
        if limited and was != rates:
            _record(
                Kind.DEVICE_LIMITED,
                session,
                source,
                **{name: f"{was[name]} → {now}" for name, now in rates.items() if was[name] != now},
            )
    return bool(limited)


def revoke(*, session: DeviceSession, source: Source = UNKNOWN) -> bool:
    """Revoke a session and all tokens of its family at once. False if it was revoked before."""
    with atomic():
        RefreshToken.revoke_family(session.token_family)
        revoked = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if revoked:
            _record(Kind.DEVICE_REVOKED, session, source)
    return bool(revoked)


def revoke_all(user: User, source: Source = UNKNOWN) -> int:
    """Revoke all sessions of a user, and deny the approved codes that no device has redeemed.

    Returns the number of sessions and codes.
    """
    with atomic():
        approved = DeviceCode.objects.approved().filter(user=user)
        denied = approved.update(status=DeviceCode.Status.DENIED)
        sessions = DeviceSession.objects.filter(user=user, revoked_at=None).order_by("pk")
        return denied + sum(revoke(session=session, source=source) for session in sessions)


def forget_person(user: User) -> None:
    """Erase the personal data of a deleted account: device names, IP addresses, user agents."""
    DeviceSession.objects.filter(user=user).update(name="", address="")
    DeviceCode.objects.filter(user=user).update(address="", user_agent="")


def undo(*, approval: uuid.UUID, source: Source = UNKNOWN) -> bool:
    """Undo an approval: deny its code if not redeemed, else revoke its session.

    False if the code or session had ended before.
    """
    with atomic():
        approved = DeviceCode.objects.approved().filter(approval=approval)
        denied = approved.update(status=DeviceCode.Status.DENIED)
        return bool(denied) or end_approved(approval=approval, source=source)


def end_approved(*, approval: uuid.UUID | None, source: Source = UNKNOWN) -> bool:
    """Revoke the session that an approval began. False if none began or it had ended before."""
    session = DeviceSession.objects.filter(approval=approval, approval__isnull=False).first()
    return bool(session and revoke(session=session, source=source))


def end_replayed(*, token_checksum: str, source: Source = UNKNOWN) -> None:
    """End the session of a reused refresh token whose token family was revoked; queue a mail.

    Nothing happens if the tokens of the session still work.
    """
    families = RefreshToken.objects.filter(token_checksum=token_checksum).values("token_family")
    with atomic():
        for session in DeviceSession.objects.dead().filter(
            token_family__in=families, revoked_at=None
        ):
            ended = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).update(
                revoked_at=timezone.now()
            )
            if ended:
                _record(Kind.REFRESH_REUSED, session, source)
                mails.queue_token_reused(session, source)


def revoke_token(*, token_checksum: str, client: Application, source: Source = UNKNOWN) -> None:
    """Revoke the session of an access or refresh token of this client (RFC 7009 §2.1).

    An unknown token has no effect.
    """
    tokens = RefreshToken.objects.filter(application=client, token_family__isnull=False)
    # Two statements, because an OR over both tables could not use the index of either.
    for lookup in ("token_checksum", "access_token__token_checksum"):
        families = tokens.filter(**{lookup: token_checksum}).values("token_family")
        for session in DeviceSession.objects.filter(token_family__in=families):
            revoke(session=session, source=source)


def _record(kind: Kind, session: DeviceSession, source: Source, **details: Any) -> None:
    events.record(
        kind, user=session.user, source=source, device=session.name, session=session.pk, **details
    )
