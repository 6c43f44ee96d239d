"""Everything that changes a device code or a device session (RFC 8628).

    start ─▶ pending ─▶ approve ─▶ authorized ─▶ consume ─▶ consumed, a session begins
                └─────▶ deny ───▶ denied

Every step is one conditional UPDATE, so of two that race one wins and the other is refused.
"""

import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F
from django.db.models.functions import Least
from django.db.transaction import atomic
from django.utils import timezone
from oauth2_provider.models import Application, RefreshToken

from accounts import events
from accounts.devices import Source
from accounts.events import Kind
from accounts.models import User
from deviceauth import codes, tries
from deviceauth.exceptions import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    ExpiredUserCode,
    InvalidGrant,
    MalformedUserCode,
    SlowDown,
    UnknownUserCode,
    UsedUserCode,
)
from deviceauth.models import DeviceCode, DeviceSession

logger = logging.getLogger(__name__)

COLLISIONS = 4  # retries; one is already a rarity
SLOW_DOWN_SECONDS = 5  # RFC 8628 §3.5
Status = DeviceCode.Status


@dataclass(frozen=True, slots=True)
class Started:
    """A new request and its two codes, readable here for the only time."""

    code: DeviceCode
    device_code: str
    user_code: str


def start(*, client: Application, scopes: Sequence[str], address: str, user_agent: str) -> Started:
    """Begin a device's request for access (RFC 8628 §3.1)."""
    request = {"application": client, "scope": " ".join(scopes), "address": address, "user_agent": user_agent}
    for _ in range(COLLISIONS):
        with suppress(IntegrityError):  # someone else waits with the same user code
            return _create(request)
    return _create(request)


def _create(request: dict[str, Any]) -> Started:
    device_code, user_code = codes.new_device_code(), codes.new_user_code()
    with atomic():
        code = DeviceCode.objects.create(
            device_code=codes.device_code_digest(device_code),
            user_code=codes.user_code_digest(user_code),
            interval=settings.DEVICE_POLL_SECONDS,
            expires=timezone.now() + timedelta(seconds=settings.DEVICE_CODE_SECONDS),
            **request,
        )
    return Started(code, device_code, codes.display(user_code))


def find(*, user_code: str, user: User | None, address: str) -> DeviceCode:
    """The request a person means. It may have been answered already, but neither denied nor expired.

    Raises MalformedUserCode, UnknownUserCode, UsedUserCode, ExpiredUserCode, TooManyTries.
    """
    normal = codes.normalise(user_code)
    if normal is None:
        raise MalformedUserCode
    tries.require_left(user=user, address=address)
    code = _of_person(normal)
    if code is None:
        tries.count_wrong(user=user, address=address)
        raise UnknownUserCode
    if code.status == Status.DENIED:
        raise UsedUserCode
    if code.is_expired():
        raise ExpiredUserCode
    return code


def _of_person(normal: str) -> DeviceCode | None:
    if not codes.is_possible(normal):
        return None
    return DeviceCode.objects.select_related("application").of_person(normal).first()


def approve(*, code: DeviceCode, user: User) -> DeviceCode:
    """Allow the device to act for this user; once more by the same user changes nothing.

    The user is bound here and nowhere earlier. Raises UsedUserCode, ExpiredUserCode.
    """
    now = timezone.now()
    pending = DeviceCode.objects.pending().filter(pk=code.pk)
    approved = pending.update(status=Status.AUTHORIZED, user=user, approved_at=now)
    code.refresh_from_db()
    if not approved and not (code.user_id == user.pk and code.status in {Status.AUTHORIZED, Status.CONSUMED}):
        raise ExpiredUserCode if code.status == Status.PENDING else UsedUserCode
    logger.info("device code %s allowed by user %s", code.pk, user.pk)
    return code


def deny(*, code: DeviceCode, user: User) -> DeviceCode:
    """End the request: the person did not start it. Raises UsedUserCode, ExpiredUserCode."""
    denied = DeviceCode.objects.pending().filter(pk=code.pk).update(status=Status.DENIED, user=user)
    code.refresh_from_db()
    if not denied:
        raise ExpiredUserCode if code.status == Status.PENDING else UsedUserCode
    logger.info("device code %s denied by user %s", code.pk, user.pk)
    return code


def poll(*, device_code: str, client: Application) -> DeviceCode:
    """The approved request this client may redeem now (RFC 8628 §3.4, §3.5).

    Approval is answered before the rate is looked at, because the existing desktop application
    never slows down. Raises InvalidGrant, AccessDenied, ExpiredToken, AuthorizationPending, SlowDown.
    """
    code = DeviceCode.objects.select_related("user").of_device(device_code).filter(application=client).first()
    if code is None or code.status == Status.CONSUMED:
        raise InvalidGrant
    if code.status == Status.DENIED:
        raise AccessDenied
    if code.is_expired():
        raise ExpiredToken
    if code.status == Status.PENDING:
        _pace(code)
        raise AuthorizationPending
    return code


def _pace(code: DeviceCode) -> None:
    """Note a poll; SlowDown if it came before the interval was over."""
    now = timezone.now()
    wait = timedelta(seconds=code.interval - settings.DEVICE_POLL_TOLERANCE_SECONDS)
    same = DeviceCode.objects.filter(pk=code.pk)
    longer = Least(F("interval") + SLOW_DOWN_SECONDS, settings.DEVICE_POLL_MAX_SECONDS)
    if same.filter(last_checked__gt=now - wait).update(last_checked=now, interval=longer):
        raise SlowDown(min(code.interval + SLOW_DOWN_SECONDS, settings.DEVICE_POLL_MAX_SECONDS))
    same.update(last_checked=now)


def consume(*, code: DeviceCode) -> None:
    """Use an approved code of an active user up, in the transaction that writes its tokens. Raises InvalidGrant.

    Of several redemptions at once all wait for the first one's row lock and then match no row.
    """
    now = timezone.now()
    approved = DeviceCode.objects.approved().filter(pk=code.pk)
    if not approved.update(status=Status.CONSUMED, consumed_at=now):
        raise InvalidGrant


def begin_session(*, code: DeviceCode, user: User, token_family: uuid.UUID, address: str) -> DeviceSession:
    """The session of a device that has just redeemed its code."""
    logger.info("device code %s redeemed for user %s", code.pk, user.pk)
    return DeviceSession.objects.create(
        token_family=token_family,
        user=user,
        application_id=code.application_id,
        name=code.device,
        scope=code.scope,
        address=address,
    )


def touch_session(*, token_family: uuid.UUID, address: str) -> None:
    """The device refreshed its tokens."""
    DeviceSession.objects.filter(token_family=token_family).update(last_used_at=timezone.now(), address=address)


def revoke_session(*, token_family: uuid.UUID) -> None:
    """End a device's session at once: no token of the family works any more. Again: nothing changes."""
    with atomic():
        RefreshToken.revoke_family(token_family)
        session = DeviceSession.objects.filter(token_family=token_family, revoked_at=None)
        if session.update(revoked_at=timezone.now()):
            logger.info("device session %s revoked", token_family)


def revoke_all(user: User, source: Source) -> None:
    """End every device's session of a user, and refuse the codes they allowed and no device has redeemed yet."""
    with atomic():
        for session in DeviceSession.objects.filter(user=user, revoked_at=None):
            revoke_session(token_family=session.token_family)
            events.record(Kind.DEVICE_REVOKED, user=user, source=source, device=session.name)
        DeviceCode.objects.approved().filter(user=user).update(status=Status.DENIED)


def forget_person(user: User) -> None:
    """Erase what tells who a user of a deleted account was: names that they gave, addresses and programs."""
    DeviceSession.objects.filter(user=user).update(name="", address="")
    DeviceCode.objects.filter(user=user).update(address="", user_agent="")


def end_replayed_session(*, token_checksum: str) -> None:
    """Record that a session is over if presenting this refresh token again has just cost it its tokens."""
    families = RefreshToken.objects.filter(token_checksum=token_checksum).values("token_family")
    sessions = DeviceSession.objects.dead().filter(token_family__in=families, revoked_at=None)
    if sessions.update(revoked_at=timezone.now()):
        logger.warning("a refresh token was used again: its session is revoked")


def revoke_token(*, token_checksum: str, client: Application) -> None:
    """End the session a client's access or refresh token belongs to (RFC 7009 §2.1). Unknown: nothing."""
    tokens = RefreshToken.objects.filter(application=client, token_family__isnull=False)
    # Two statements, because an OR over both tables could use neither index.
    for lookup in ("token_checksum", "access_token__token_checksum"):
        for token in tokens.filter(**{lookup: token_checksum}).only("token_family"):
            revoke_session(token_family=token.token_family)
