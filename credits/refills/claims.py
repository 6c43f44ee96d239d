"""Claims refills that are due. The claim is the lock: every worker may run it.

A refill is due while the posted balance is below its threshold. Credits that are held for a long
answer are not spent yet, so they do not count as missing.
"""

from django.db import connection
from django.db.transaction import atomic
from django.utils import timezone

from credits.models import Package, Purchase, Refill, RefillAttempt
from credits.purchases import prices
from credits.purchases.refusals import NotOnSale
from credits.purchases.taxes import is_calculated_by_stripe
from credits.refills import ends
from credits.stripe_api.client import is_live

_SPENT = """
SELECT COALESCE(sum(p.total), 0)
  FROM refill_attempts a JOIN purchases p ON p.id = a.purchase_id
 WHERE a.refill_id = f.id AND a.state IN ('claimed', 'paid') AND p.currency = f.currency
   AND a.claimed_at >= date_trunc('month', clock_timestamp(), 'UTC')
"""
# One statement finds and takes a due refill. The hour since the last attempt is a column of the
# row that is locked, so a second claim that saw the row earlier finds it changed and leaves it. The
# subquery on `users` is one look-up by primary key for each refill that is on; a join would read
# all users.
_CLAIM = f"""
UPDATE refills SET last_attempt_at = clock_timestamp()
 WHERE id = (
    SELECT f.id FROM refills f
     WHERE f.enabled_at IS NOT NULL AND f.paused_because = '' AND f.payment_method <> ''
       AND (f.last_attempt_at IS NULL
            OR f.last_attempt_at <= clock_timestamp() - interval '1 hour')
       AND f.threshold > (SELECT u.credits FROM users u
                           WHERE u.id = f.user_id AND u.is_active AND u.closed_at IS NULL)
       AND NOT EXISTS (SELECT FROM customers c
                        WHERE c.user_id = f.user_id
                          AND (c.frozen_at IS NOT NULL OR c.closed_until > clock_timestamp()))
       AND NOT EXISTS (SELECT FROM refill_attempts a
                        WHERE a.refill_id = f.id AND a.state = 'claimed')
       AND f.price + ({_SPENT}) <= f.monthly_cap
     ORDER BY f.last_attempt_at NULLS FIRST
     LIMIT 1 FOR UPDATE OF f SKIP LOCKED)
RETURNING id
"""  # noqa: S608 – made of constants


def claim_due(limit: int = 100) -> list[RefillAttempt]:
    """Claim up to `limit` due refills; return their attempts, each with its purchase.

    A refill whose package is dearer than agreed, or not sold any more, is paused instead.
    """
    attempts = []
    for _ in range(limit):
        is_over, attempt = _claim_one()
        if is_over:
            break
        if attempt is not None:
            attempts.append(attempt)
    return attempts


def count_spent(refill: Refill) -> int:
    """Return what this month's attempts have taken, or may still take, in minor units."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({_SPENT}) FROM refills f WHERE f.id = %s",  # noqa: S608 – made of constants
            [refill.pk],
        )
        return int(cursor.fetchone()[0])


def _claim_one() -> tuple[bool, RefillAttempt | None]:
    """Claim one refill in one transaction; return whether none is due, and the attempt."""
    with atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM)
            row = cursor.fetchone()
        if row is None:
            return True, None
        refill = Refill.objects.select_related("user", "package").get(pk=row[0])
        return False, _begin(refill)


def _begin(refill: Refill) -> RefillAttempt | None:
    """Write the attempt and its purchase, or pause a refill that the buyer has to agree to anew."""
    package = refill.package
    try:
        price = prices.find_refill_price(package, refill.currency)
    except NotOnSale:
        ends.pause(refill, ends.TAXED if is_calculated_by_stripe() else ends.NOT_ON_SALE)
        return None
    if price > refill.price or package.credits < refill.credits:
        ends.pause(refill, ends.DEARER)
        return None
    return RefillAttempt.objects.create(
        refill=refill,
        purchase=_write_purchase(refill, package, price),
        payment_method=refill.payment_method,
    )


def _write_purchase(refill: Refill, package: Package, price: int) -> Purchase:
    net, tax, percent = prices.split(price, timezone.now())
    return Purchase.objects.create(
        user=refill.user,
        kind=Purchase.Kind.REFILL,
        package=package,
        name=package.name,
        credits=package.credits,
        currency=refill.currency,
        net=net,
        tax=tax,
        total=price,
        tax_percent=percent,
        livemode=is_live(),
        language=refill.user.language,
    )
