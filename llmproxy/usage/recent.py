"""What the overview of an account says about usage: the last days, and how long credits last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.time_zones import borders, zone_of
from credits.models import Grant
from llmproxy.usage import charts, forecast, sums

DAYS = 30


@dataclass(frozen=True, slots=True)
class Recent:
    """The sums of the last DAYS days of the reader's zone, oldest first. The last day is today."""

    first: date
    days: list[sums.Sum]

    @property
    def today(self) -> int:
        return self.days[-1].charged

    @property
    def week(self) -> int:
        return sum(day.charged for day in self.days[-7:])

    @property
    def month(self) -> int:
        return sum(day.charged for day in self.days)


@dataclass(frozen=True, slots=True)
class SmallChart:
    """What one device or key used on the last DAYS days: whole credits, and bars as an SVG path."""

    used: int
    path: str
    width: int = DAYS
    height: int = charts.SMALL_HEIGHT


def draw_small_charts(user: User, credentials: Sequence[str]) -> dict[str, SmallChart]:
    """Draw the last DAYS days of each of these credentials that was used in them."""
    first = find_today(user) - timedelta(days=DAYS - 1)
    days = sums.read_days_of(user, borders(first, DAYS, zone_of(user)), credentials)
    return {name: SmallChart(sum(used), charts.draw_path(used)) for name, used in days.items()}


def read_recent(user: User) -> Recent:
    """Read the last DAYS days in one statement."""
    first = find_today(user) - timedelta(days=DAYS - 1)
    return Recent(first, sums.read_days(user, borders(first, DAYS, zone_of(user))))


def find_today(user: User) -> date:
    """Return today's date in the user's time zone."""
    return datetime.now(tz=zone_of(user)).date()


def foretell(user: User, recent: Recent) -> str:
    """Return in words how many days the user's credits last; an empty text without a forecast."""
    joined = user.date_joined.astimezone(zone_of(user)).date()
    age = (find_today(user) - joined).days  # whole days
    whole = [day.charged for day in recent.days[:-1]][-max(age, 0) :] if age > 0 else []
    estimate = forecast.estimate(whole, _list_lots(user))
    return describe(estimate) if estimate else ""


def describe(estimate: forecast.Estimate) -> str:
    """Return an estimate in words: a range of whole days, never hours."""
    low, high = estimate.low, estimate.high
    if low is None:
        return _("more than %(days)s days") % {"days": forecast.HORIZON}
    if high is None:
        text = ngettext("at least %(days)s day", "at least %(days)s days", low)
        return text % {"days": low}
    if high < 1:
        return _("less than a day")
    if low == high:
        return ngettext("%(days)s day", "%(days)s days", high) % {"days": high}
    if low < 1:
        return ngettext("up to %(days)s day", "up to %(days)s days", high) % {"days": high}
    return _("%(low)s to %(high)s days") % {"low": low, "high": high}


def _list_lots(user: User) -> list[forecast.Lot]:
    """Return the unspent grants in the order in which the ledger spends them."""
    now = datetime.now(tz=UTC)
    grants = Grant.objects.filter(user=user, is_live=True).order_by(
        "priority", "expires_at", "is_paid", "id"
    )
    return [
        forecast.Lot(remaining - pinned, (expires_at - now).days if expires_at else None)
        for remaining, pinned, expires_at in grants.values_list("remaining", "pinned", "expires_at")
        if expires_at is None or expires_at > now
    ]
