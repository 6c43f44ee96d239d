"""Everything that changes the session of an allowed device, and the tokens it stands for."""

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

MAX_NAME = 100


def begin(
    *, code: DeviceCode, user: User, token_family: uuid.UUID, source: Source
) -> DeviceSession:
    """The session of a device that has just redeemed its code."""
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
    """The device refreshed its tokens, in the transaction that writes them. Raises InvalidGrant if it is over."""
    live = DeviceSession.objects.filter(token_family=token_family, revoked_at=None)
    if not live.update(last_used_at=timezone.now(), address=source.address):
        raise InvalidGrant


def rename(*, session: DeviceSession, name: str, source: Source = UNKNOWN) -> bool:
    """Give a device another name; False if it is not connected any more, or has this one."""
    with atomic():
        same = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).exclude(name=name)
        renamed = same.update(name=name[:MAX_NAME])
        if renamed:
            _record(Kind.DEVICE_RENAMED, session, source, now=name)
    return bool(renamed)


def set_budget(
    *, session: DeviceSession, monthly_budget: int | None, source: Source = UNKNOWN
) -> bool:
    """Limit what a device spends in a calendar month (UTC), in whole credits, from its next call on; None: no limit.

    False if its session was revoked meanwhile; then nothing has changed.
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
    """Limit how often a device calls, by the names in accounts.models.LIMITS. False if it was revoked meanwhile."""
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
    """End a device's session at once: no token of the family works any more. Again: False, nothing changes."""
    with atomic():
        RefreshToken.revoke_family(session.token_family)
        revoked = DeviceSession.objects.filter(pk=session.pk, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if revoked:
            _record(Kind.DEVICE_REVOKED, session, source)
    return bool(revoked)


def revoke_all(user: User, source: Source = UNKNOWN) -> int:
    """End every device's session of a user, and refuse what they allowed and no device has redeemed yet; how many."""
    with atomic():
        approved = DeviceCode.objects.approved().filter(user=user)
        refused = approved.update(status=DeviceCode.Status.DENIED)
        sessions = DeviceSession.objects.filter(user=user, revoked_at=None).order_by("pk")
        return refused + sum(revoke(session=session, source=source) for session in sessions)


def forget_person(user: User) -> None:
    """Erase what tells who a user of a deleted account was: names that they gave, addresses and programs."""
    DeviceSession.objects.filter(user=user).update(name="", address="")
    DeviceCode.objects.filter(user=user).update(address="", user_agent="")


def undo(*, approval: uuid.UUID, source: Source = UNKNOWN) -> bool:
    """Take back what somebody allowed, whether the device has redeemed it or not; False if nothing was left."""
    with atomic():
        approved = DeviceCode.objects.approved().filter(approval=approval)
        refused = approved.update(status=DeviceCode.Status.DENIED)
        session = DeviceSession.objects.filter(approval=approval).first()
        return bool(refused) or bool(session and revoke(session=session, source=source))


def end_replayed(*, token_checksum: str, source: Source = UNKNOWN) -> None:
    """Record that a session is over, and tell its user, if this refresh token has just cost it its tokens."""
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
                mails.old_token_used(session, source)


def revoke_token(*, token_checksum: str, client: Application, source: Source = UNKNOWN) -> None:
    """End the session a client's access or refresh token belongs to (RFC 7009 §2.1). Unknown: nothing."""
    tokens = RefreshToken.objects.filter(application=client, token_family__isnull=False)
    # Two statements, because an OR over both tables could use neither index.
    for lookup in ("token_checksum", "access_token__token_checksum"):
        families = tokens.filter(**{lookup: token_checksum}).values("token_family")
        for session in DeviceSession.objects.filter(token_family__in=families):
            revoke(session=session, source=source)


def _record(kind: Kind, session: DeviceSession, source: Source, **details: Any) -> None:
    events.record(
        kind, user=session.user, source=source, device=session.name, session=session.pk, **details
    )
