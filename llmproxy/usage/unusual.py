"""Find users who use far more than on their usual day, and which model and caller caused it.

Only an alert follows: nothing is blocked. Days are spans of 24 hours before the end of what is
folded.
"""

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Min, QuerySet, Sum
from django.urls import reverse

from accounts.models import AccountAlert, User
from accounts.toolbox.keyset import find_first_key
from deviceauth.models import DeviceSession
from llmproxy.models import Completion, UsageFold, UsageQuarter

DAY = timedelta(days=1)
DAYS_BEFORE = 14  # whose median is the usual day
LEAST_DAYS = 7  # from the first use: before that, no day is usual
TIMES = 5  # as many usual days make a day unusual
LEAST = 100  # credits: less is never unusual
SINCE = timedelta(hours=2)  # users with a completion since then are looked at
KIND = AccountAlert.Kind.UNUSUAL


@dataclass(frozen=True, slots=True)
class Finding:
    """What a user was charged in the last 24 hours, and on the median day before: credits."""

    charged: int
    usual: int


def find_unusual() -> int:
    """Note an alert for each user whose last 24 hours are unusual; return how many."""
    until = UsageFold.objects.values_list("until", flat=True).first()
    return 0 if until is None else sum(_note(user, until) for user in _list_candidates(until))


def _list_active(until: datetime) -> list[int]:
    """Return the users with a completion in the last hours."""
    rows = Completion.objects.all()
    first = find_first_key(rows, "id", "created_at", until - SINCE)
    recent = rows.filter(pk__gte=first, user__isnull=False, charged__gt=0)
    return list(recent.order_by().values_list("user", flat=True).distinct())


def _list_candidates(until: datetime) -> QuerySet[User]:
    """Return who was charged more than LEAST in the last 24 hours and was not told in them."""
    told = AccountAlert.objects.filter(kind=KIND, created_at__gt=until - DAY).values("user")
    used = UsageQuarter.objects.filter(user__in=_list_active(until), quarter__gte=until - DAY)
    much = used.values("user").annotate(sum=Sum("charged")).filter(sum__gt=LEAST).values("user")
    return User.objects.filter(pk__in=much).exclude(pk__in=told)


def _note(user: User, until: datetime) -> bool:
    user_id = user.pk
    found = judge(user_id, until)
    if found is None:
        return False
    last_day = UsageQuarter.objects.filter(user=user_id, quarter__gte=until - DAY)
    most = last_day.values("model", "credential", "credential_name").annotate(part=Sum("charged"))
    top = most.order_by("-part").first() or {}
    AccountAlert.objects.note(
        user,
        KIND,
        key=f"unusual:{until:%Y-%m-%dT%H}",
        charged=found.charged,
        usual=found.usual,
        part=int(top["part"]),
        model=top["model"],
        name=top["credential_name"],
        stop_path=find_stop_path(user_id, top["credential"]),
    )
    return True


_DAYS = """
SELECT ceil(extract(epoch FROM %(until)s - quarter) / 86400)::integer - 1, sum(charged)::bigint
  FROM usage_quarters
 WHERE user_id = %(user)s AND quarter >= %(first)s AND quarter < %(until)s
 GROUP BY 1
"""


def judge(user_id: int, until: datetime) -> Finding | None:
    """Return what was charged in the last 24 hours if that is unusual; None if it is not."""
    first_use = UsageQuarter.objects.filter(user=user_id).aggregate(first=Min("quarter"))["first"]
    days = min((until - first_use) // DAY - 1, DAYS_BEFORE) if first_use else 0
    if days < LEAST_DAYS:
        return None
    first = until - (DAYS_BEFORE + 1) * DAY
    bounds: dict[str, Any] = {"user": user_id, "until": until, "first": first}
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, bounds)
        charged = dict(cursor.fetchall())
    usual = int(statistics.median(charged.get(day, 0) for day in range(1, days + 1)))
    today = charged.get(0, 0)
    return Finding(today, usual) if today > LEAST and today > TIMES * usual else None


def find_stop_path(user_id: int, credential: str) -> str:
    """Return the path of the page that revokes a key or disconnects a device."""
    kind, _sign, number = credential.partition(":")
    if kind == "key":
        return reverse("account_key_revoke", args=[int(number)])
    if kind == "device":
        own = DeviceSession.objects.filter(user=user_id, token_family=UUID(number))
        if (pk := own.values_list("pk", flat=True).first()) is not None:
            return reverse("account_device_disconnect", args=[pk])
    return reverse("account_security")
