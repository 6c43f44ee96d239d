"""Redeem a code: one transaction marks the code as used and gives its credits."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import User
from accounts.toolbox import rate_limits
from accounts.toolbox.rate_limits import Rate
from accounts.toolbox.request_source import Source, network
from credits import ledger
from credits.codes.code_format import digest_code, read_code
from credits.codes.refusals import (
    CodeRefusal,
    ExpiredCode,
    OneOfBatch,
    OwnCode,
    RevokedCode,
    TooManyCodes,
    UnknownCode,
    UsedCode,
)
from credits.models import RedemptionCode, Transaction

PERIOD = 60 * 60  # seconds, of the limits of unknown codes
ONCE = "redemption_codes_once_per_user"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A code that gave credits to this user. `is_new` is False if it had done so before."""

    code: RedemptionCode
    credits: int
    is_new: bool


def redeem(*, user: User, typed: str, source: Source) -> Redeemed:
    """Give the user the credits of the code that was typed.

    Only unknown codes count against the limits, but each attempt is counted before it is looked up,
    so that many at once cannot exceed them. Raises CodeRefusal, and LedgerRefusal for an account
    that is closed.
    """
    paid = _count_attempt(user, source)
    try:
        redeemed = _redeem(user, read_code(typed))
    except UnknownCode:
        raise
    except CodeRefusal:
        _give_back(paid)
        raise
    _give_back(paid)
    return redeemed


def _redeem(user: User, characters: str | None) -> Redeemed:
    if characters is None:
        raise UnknownCode
    digest = digest_code(characters)
    try:
        with atomic():
            User.objects.locked(user.pk)
            if taken := _take(user, digest):
                return _give_credits(user, *taken)
    except IntegrityError as error:
        if ONCE not in str(error):
            raise
        raise OneOfBatch from None
    return _explain(user, digest)


# The row count is the answer: a second person waits here for the first one's lock, and then finds
# the code taken.
_TAKE = """
UPDATE redemption_codes c
   SET user_id = %(user)s, redeemed_at = clock_timestamp()
  FROM code_batches b
 WHERE b.id = c.batch_id AND c.digest = %(digest)s AND c.user_id IS NULL AND c.revoked_at IS NULL
   AND b.last_day >= (clock_timestamp() AT TIME ZONE 'UTC')::date
RETURNING c.id, b.credits, b.credit_days, b.maker_id
"""


def _take(user: User, digest: bytes) -> tuple[int, int, int | None] | None:
    """Take the code and return its id, credits and days. Raises OwnCode."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"user": user.pk, "digest": digest})
        taken: tuple[int, int, int | None, int] | None = cursor.fetchone()
    if taken is None:
        return None
    pk, credits, days, maker = taken
    if maker == user.pk and not user.is_superuser:
        raise OwnCode
    return pk, credits, days


def _give_credits(user: User, pk: int, credits: int, days: int | None) -> Redeemed:
    code = RedemptionCode.objects.get(pk=pk)
    posted = ledger.add(
        user=user,
        amount=credits,
        type=Transaction.Type.BONUS,
        description=f"Redemption code {code}",
        idempotency_key=f"code:{pk}",
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )
    RedemptionCode.objects.filter(pk=pk).update(transaction=posted)
    return Redeemed(code, credits, is_new=True)


def _explain(user: User, digest: bytes) -> Redeemed:
    """Say why a code cannot be used; the user may have used it before."""
    code = RedemptionCode.objects.select_related("batch").filter(digest=digest).first()
    if code is None:
        raise UnknownCode
    if code.user_id == user.pk:
        return Redeemed(code, code.batch.credits, is_new=False)
    if code.user_id is not None:
        raise UsedCode
    if code.revoked_at is not None:
        raise RevokedCode
    raise ExpiredCode


def _count_attempt(user: User, source: Source) -> dict[str, Rate]:
    """Count one attempt. Raises TooManyCodes if the user or the network has none left."""
    paid: dict[str, Rate] = {}
    for key, limit in (
        (f"redeem:user:{user.pk}", settings.WRONG_CODES_PER_USER),
        (f"redeem:{network(source.address)}", settings.WRONG_CODES_PER_ADDRESS),
    ):
        rate = rate_limits.take(key, limit=limit, period=PERIOD)
        if not rate.allowed:
            _give_back(paid)
            raise TooManyCodes(rate.retry_after)
        paid[key] = rate
    return paid


def _give_back(paid: dict[str, Rate]) -> None:
    for key, rate in paid.items():
        rate_limits.give_back(key, limit=rate.limit, period=PERIOD)
