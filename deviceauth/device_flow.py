"""Everything that changes a device code (RFC 8628).

    start ─▶ pending ─▶ approve ─▶ authorized ─▶ consume ─▶ consumed, a session begins
                └─────▶ deny ───▶ denied

Every step is one conditional UPDATE, so of two that race one wins and the other is refused.
"""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.transaction import atomic
from django.utils import timezone, translation
from oauth2_provider.models import Application

from accounts.access import events
from accounts.access.events import Kind
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN, Source
from deviceauth import codes, mails, user_code_limits
from deviceauth.exceptions import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    ExpiredUserCode,
    InvalidGrant,
    LoggedOut,
    MalformedUserCode,
    SlowDown,
    UnknownUserCode,
    UsedUserCode,
)
from deviceauth.models import DeviceCode

COLLISIONS = 4  # retries; one is already a rarity
SLOW_DOWN_SECONDS = 5  # RFC 8628 §3.5
Status = DeviceCode.Status


@dataclass(frozen=True, slots=True)
class Started:
    """A new request and its two codes, readable here for the only time."""

    code: DeviceCode
    device_code: str
    user_code: str


def start(*, client: Application, scopes: Sequence[str], source: Source) -> Started:
    """Begin a device's request for access (RFC 8628 §3.1)."""
    request = {
        "application": client,
        "scope": " ".join(scopes),
        "address": source.address,
        "user_agent": source.user_agent,
    }
    for _ in range(COLLISIONS):
        with suppress(IntegrityError):  # someone else waits with the same user code
            return _create(request, source)
    return _create(request, source)


def _create(request: dict[str, Any], source: Source) -> Started:
    device_code, user_code = codes.new_device_code(), codes.new_user_code()
    with atomic():
        code = DeviceCode.objects.create(
            device_code=codes.device_code_digest(device_code),
            user_code=codes.user_code_digest(user_code),
            interval=settings.DEVICE_POLL_SECONDS,
            expires=timezone.now() + timedelta(seconds=settings.DEVICE_CODE_SECONDS),
            **request,
        )
        _record(Kind.CODE_REQUESTED, code, source)
    return Started(code, device_code, codes.display(user_code))


def find(*, user_code: str, user: User | None, source: Source = UNKNOWN) -> DeviceCode:
    """The request a person means. It may have been answered already, but neither denied nor expired.

    Raises MalformedUserCode, UnknownUserCode, UsedUserCode, ExpiredUserCode, TooManyTries.
    """
    normal = codes.normalise(user_code)
    if normal is None:
        raise MalformedUserCode
    attempt = user_code_limits.Try(user=user, source=source)
    code = _of_person(normal)
    if code is None:
        attempt.fail()
        raise UnknownUserCode
    attempt.succeed()
    if code.status == Status.DENIED:
        raise UsedUserCode
    if code.is_expired():
        raise ExpiredUserCode
    return code


def _of_person(normal: str) -> DeviceCode | None:
    if not codes.is_possible(normal):
        return None
    return DeviceCode.objects.select_related("application").of_person(normal).first()


def note_opened(*, code: DeviceCode, user: User, source: Source) -> None:
    """Write down who first looked at a request."""
    if DeviceCode.objects.filter(pk=code.pk, opened_at=None).update(opened_at=timezone.now()):
        events.record(Kind.PAGE_OPENED, user=user, source=source, code=code.pk)


def approve(*, code: DeviceCode, user: User, source: Source = UNKNOWN) -> DeviceCode:
    """Allow the device to act for this user; once more by the same user changes nothing.

    The user is bound here and nowhere earlier, and told by mail. Raises UsedUserCode, ExpiredUserCode,
    LoggedOut.
    """
    with atomic():
        _require_unchanged(user)
        approved = DeviceCode.objects.pending().filter(pk=code.pk)
        won = approved.update(
            status=Status.AUTHORIZED,
            user=user,
            approved_at=timezone.now(),
            approval=uuid.uuid4(),
            language=translation.get_language(),
        )
        code.refresh_from_db()
        if won:
            _record(Kind.CODE_APPROVED, code, source)
            mails.device_allowed(code, user, source)
    if not won and not (
        code.user_id == user.pk and code.status in {Status.AUTHORIZED, Status.CONSUMED}
    ):
        raise ExpiredUserCode if code.status == Status.PENDING else UsedUserCode
    return code


def _require_unchanged(user: User) -> None:
    """Lock the user, and see that they are who they were when this request began: a password that is being
    changed ends what was allowed under the old one, and could not see this approval yet."""
    same = User.objects.select_for_update(no_key=True).filter(
        pk=user.pk, is_active=True, password=user.password
    )
    if not same.exists():
        raise LoggedOut


def deny(*, code: DeviceCode, user: User, source: Source = UNKNOWN) -> DeviceCode:
    """End the request: the person did not start it. Raises UsedUserCode, ExpiredUserCode."""
    with atomic():
        denied = (
            DeviceCode.objects.pending().filter(pk=code.pk).update(status=Status.DENIED, user=user)
        )
        code.refresh_from_db()
        if denied:
            _record(Kind.CODE_DENIED, code, source)
    if not denied:
        raise ExpiredUserCode if code.status == Status.PENDING else UsedUserCode
    return code


def withdraw(*, code: DeviceCode, source: Source = UNKNOWN) -> bool:
    """An operator refuses a request that no device has redeemed yet; False if it was too late."""
    open_ones = DeviceCode.objects.filter(
        pk=code.pk, status__in=[Status.PENDING, Status.AUTHORIZED]
    )
    with atomic():
        withdrawn = open_ones.update(status=Status.DENIED)
        if withdrawn:
            _record(Kind.CODE_DENIED, code, source)
    return bool(withdrawn)


def poll(*, device_code: str, client: Application, source: Source = UNKNOWN) -> DeviceCode:
    """The approved request this client may redeem now (RFC 8628 §3.4, §3.5).

    Approval is answered before the rate is looked at, because the existing desktop application never
    slows down. Raises InvalidGrant, AccessDenied, ExpiredToken, AuthorizationPending, SlowDown, TooManyRequests.
    """
    code = DeviceCode.objects.select_related("user").of_device(device_code).first()
    if code is None:
        user_code_limits.count_unknown_device_code(source)
        raise InvalidGrant
    if code.application_id != client.pk:
        raise InvalidGrant
    if code.status == Status.CONSUMED:
        _note_replay(code, source)
        raise InvalidGrant
    if code.status == Status.DENIED:
        raise AccessDenied
    if code.is_expired():
        raise ExpiredToken
    if code.status == Status.PENDING:
        _pace(code)
        raise AuthorizationPending
    return code


def _note_replay(code: DeviceCode, source: Source) -> None:
    """Once: two windows of one device poll with one code, and the slower one goes on after it was used."""
    if DeviceCode.objects.filter(pk=code.pk, replayed_at=None).update(replayed_at=timezone.now()):
        _record(Kind.CODE_REPLAYED, code, source)


def _pace(code: DeviceCode) -> None:
    """Note a poll; SlowDown if it came before the interval was over, or at the same moment as another."""
    now = timezone.now()
    wait = timedelta(seconds=code.interval - settings.DEVICE_POLL_TOLERANCE_SECONDS)
    is_early = code.last_checked is not None and code.last_checked > now - wait
    longer = min(code.interval + SLOW_DOWN_SECONDS, settings.DEVICE_POLL_MAX_SECONDS)
    unchanged = DeviceCode.objects.filter(pk=code.pk, last_checked=code.last_checked)
    noted = unchanged.update(last_checked=now, interval=longer if is_early else code.interval)
    if is_early or not noted:
        raise SlowDown(longer)


def consume(*, code: DeviceCode, source: Source = UNKNOWN) -> None:
    """Use an approved code of an active user up, in the transaction that writes its tokens. Raises InvalidGrant.

    Of several redemptions at once all wait for the first one's row lock and then match no row.
    """
    now = timezone.now()
    approved = DeviceCode.objects.approved().filter(pk=code.pk)
    if not approved.update(status=Status.CONSUMED, consumed_at=now):
        raise InvalidGrant
    _record(Kind.CODE_REDEEMED, code, source)


def _record(kind: Kind, code: DeviceCode, source: Source) -> None:
    client = code.application.client_id
    events.record(
        kind, user=code.user, source=source, code=code.pk, client=client, device=code.device
    )
