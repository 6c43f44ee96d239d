"""The verbs of device codes: all changes of a device code (RFC 8628).

    start ─▶ pending ─▶ approve ─▶ authorized ─▶ consume ─▶ consumed, a session begins
                └─────▶ deny ◀──────────┴─────▶ denied ◀──────┘ and the session ends

Every step is one conditional UPDATE, so if two requests race, one wins and the other is refused. A
refusal by the person who approved wins at any time.
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
from accounts.toolbox.typed.codes import find_letters
from deviceauth import codes, device_sessions, mails, user_code_limits
from deviceauth.exceptions import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    ExpiredUserCode,
    InvalidGrant,
    LoggedOut,
    MalformedUserCode,
    RefusedUserCode,
    SlowDown,
    UnknownUserCode,
    UsedUserCode,
)
from deviceauth.models import DeviceCode

COLLISIONS = 4  # retries if a user code is taken; a single one is already rare
SLOW_DOWN_SECONDS = 5  # RFC 8628 §3.5
Status = DeviceCode.Status


@dataclass(frozen=True, slots=True)
class Started:
    """A new request of a device and its two codes, which cannot be read again later."""

    code: DeviceCode
    device_code: str
    user_code: str


def start(*, client: Application, scopes: Sequence[str], source: Source) -> Started:
    """Create a device's request for access (RFC 8628 §3.1)."""
    request = {
        "application": client,
        "scope": " ".join(scopes),
        "address": source.address,
        "user_agent": source.user_agent,
    }
    for _ in range(COLLISIONS):
        with suppress(IntegrityError):  # another device waits with the same user code
            return _create(request, source)
    return _create(request, source)


def _create(request: dict[str, Any], source: Source) -> Started:
    device_code, user_code = codes.new_device_code(), codes.new_user_code()
    with atomic():
        code = DeviceCode.objects.create(
            device_code=codes.digest_device_code(device_code),
            user_code=codes.digest_user_code(user_code),
            interval=settings.DEVICE_POLL_SECONDS,
            expires=timezone.now() + timedelta(seconds=settings.DEVICE_CODE_SECONDS),
            **request,
        )
        _record(Kind.CODE_REQUESTED, code, source)
    return Started(code, device_code, codes.format_user_code(user_code))


def find(*, user_code: str, user: User | None, source: Source = UNKNOWN) -> DeviceCode:
    """Return the request of a typed user code. It is pending, approved or redeemed.

    Raises what `look_up` and `require_open` raise.
    """
    code = look_up(user_code=user_code, user=user, source=source)
    require_open(code, user)
    return code


def look_up(*, user_code: str, user: User | None, source: Source = UNKNOWN) -> DeviceCode:
    """Return the newest request of a typed user code, in any state.

    The attempt counts against the limits of `user` and `source` unless the code exists, or the text
    has no code that could exist. Raises MalformedUserCode, UnknownUserCode, TooManyTries.
    """
    normal = find_letters(user_code)
    if normal is None:
        raise MalformedUserCode
    attempt = user_code_limits.Attempt(user=user, source=source)
    code = DeviceCode.objects.select_related("application").of_person(normal).first()
    if code is None:
        attempt.fail()
        raise UnknownUserCode
    attempt.succeed()
    return code


def require_open(code: DeviceCode, user: User | None) -> None:
    """Raise a refusal if the request was denied or has expired; it may be approved or redeemed.

    Only the user who denied it is told so. Raises RefusedUserCode, UsedUserCode, ExpiredUserCode.
    """
    if code.status == Status.DENIED:
        raise RefusedUserCode if user and code.user_id == user.pk else UsedUserCode
    if code.is_expired():
        raise ExpiredUserCode


def note_opened(*, code: DeviceCode, user: User, source: Source) -> None:
    """Record the first time that a user opens the page of a request."""
    if DeviceCode.objects.filter(pk=code.pk, opened_at=None).update(opened_at=timezone.now()):
        events.record(Kind.PAGE_OPENED, user=user, source=source, code=code.pk)


def approve(*, code: DeviceCode, user: User, source: Source = UNKNOWN) -> DeviceCode:
    """Allow the device to act for this user, and queue a mail about it.

    The request is bound to the user here and not earlier. A second approval by the same user has no
    effect. Raises RefusedUserCode, UsedUserCode, ExpiredUserCode, LoggedOut.
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
            mails.queue_device_allowed(code, user, source)
    if not won and not (
        code.user_id == user.pk and code.status in {Status.AUTHORIZED, Status.CONSUMED}
    ):
        require_open(code, user)
        raise UsedUserCode
    return code


def _require_unchanged(user: User) -> None:
    """Lock the user; raise LoggedOut if they were deactivated or their password has changed.

    A password change ends all access granted under the old password. If it runs at the same time,
    it could not see this approval yet.
    """
    unchanged = User.objects.select_for_update(no_key=True).filter(
        pk=user.pk, is_active=True, password=user.password
    )
    if not unchanged.exists():
        raise LoggedOut


def deny(*, code: DeviceCode, user: User, source: Source = UNKNOWN) -> DeviceCode:
    """Deny the request, which the user did not start. It wins over their own approval.

    If the device has redeemed the code already, its session ends now: all its tokens are revoked. A
    second refusal has no effect. Raises UsedUserCode, ExpiredUserCode.
    """
    with atomic():
        denied = DeviceCode.objects.deniable_by(user).filter(pk=code.pk)
        won = denied.update(status=Status.DENIED, user=user)
        code.refresh_from_db()
        if won:
            _record(Kind.CODE_DENIED, code, source)
        if won and code.consumed_at:
            device_sessions.end_approved(approval=code.approval, source=source)
    if not won and not (code.user_id == user.pk and code.status == Status.DENIED):
        raise ExpiredUserCode if code.status == Status.PENDING else UsedUserCode
    return code


def withdraw(*, code: DeviceCode, source: Source = UNKNOWN) -> bool:
    """Deny a request for an administrator. False if it was denied before.

    If the device has redeemed the code meanwhile, its session ends now.
    """
    with atomic():
        undenied = DeviceCode.objects.filter(pk=code.pk).exclude(status=Status.DENIED)
        withdrawn = undenied.update(status=Status.DENIED)
        code.refresh_from_db()
        if withdrawn:
            _record(Kind.CODE_DENIED, code, source)
        if withdrawn and code.consumed_at:
            device_sessions.end_approved(approval=code.approval, source=source)
    return bool(withdrawn)


def poll(*, device_code: str, client: Application, source: Source = UNKNOWN) -> DeviceCode:
    """Return the approved request that this client may redeem now (RFC 8628 §3.4, §3.5).

    The polling interval is enforced only while the request is pending, because the existing desktop
    application never slows down. Raises InvalidGrant, AccessDenied, ExpiredToken,
    AuthorizationPending, SlowDown, TooManyRequests.
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
        _require_interval(code)
        raise AuthorizationPending
    return code


def _note_replay(code: DeviceCode, source: Source) -> None:
    """Record once that a redeemed code was sent again.

    Two windows of one device may poll with one code; the slower one continues after its use.
    """
    if DeviceCode.objects.filter(pk=code.pk, replayed_at=None).update(replayed_at=timezone.now()):
        _record(Kind.CODE_REPLAYED, code, source)


def _require_interval(code: DeviceCode) -> None:
    """Record a poll. Raises SlowDown if it came too early or at the same moment as another."""
    now = timezone.now()
    wait = timedelta(seconds=code.interval - settings.DEVICE_POLL_TOLERANCE_SECONDS)
    is_early = code.last_checked is not None and code.last_checked > now - wait
    longer = min(code.interval + SLOW_DOWN_SECONDS, settings.DEVICE_POLL_MAX_SECONDS)
    unchanged = DeviceCode.objects.filter(pk=code.pk, last_checked=code.last_checked)
    noted = unchanged.update(last_checked=now, interval=longer if is_early else code.interval)
    if is_early or not noted:
        raise SlowDown(longer)


def consume(*, code: DeviceCode, source: Source = UNKNOWN) -> None:
    """Mark an approved code as used, in the transaction that writes its tokens.

    If several redemptions run at the same time, they wait for the row lock of the first and then
    match no row. Raises InvalidGrant if the code is not approved or its user is inactive.
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
