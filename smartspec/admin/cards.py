"""The cards on the first page of the admin: today against yesterday and the same day last week."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.time_zones import borders
from credits.currencies import format_amount
from credits.operators import day_sums, movements
from credits.operators.day_sums import DaySums, Money
from llmproxy.usage import day_totals
from llmproxy.usage.day_totals import DayTotal
from smartspec.upkeep.conditions import Rows

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Card:
    """A figure of today with those of two days before, and the list of the rows behind it."""

    title: Text
    value: str
    note: Text
    yesterday: str
    last_week: str
    link: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What one day, or the time since it, sums up to."""

    ledger: DaySums
    usage: DayTotal

    @property
    def moved(self) -> int:
        """By how much all balances rose together."""
        return self.ledger.moved - self.usage.charged


@dataclass(frozen=True, slots=True)
class Days:
    """The three days of the cards, and the days since the end of the oldest one."""

    date: str  # of today, as the filters of lists read it
    today: Figures
    yesterday: Figures
    last_week: Figures
    since_last_week: Figures


def build_cards(request: HttpRequest, outstanding: int) -> list[Card]:
    """Return the cards of rows that the administrator may see.

    `outstanding` is the sum of all balances.
    """
    days = _read_days(timezone.now())
    cards = [
        _build_sold(days, request),
        _build_credits(
            days,
            _("Granted"),
            lambda day: day.ledger.granted,
            _("credits given without payment"),
            _link(
                request,
                *("credits.transaction", "type__in=bonus,subscription,adjustment"),
                date=days.date,
            ),
        ),
        _build_credits(
            days,
            _("Used"),
            lambda day: day.usage.charged,
            _("credits, in %(number)s answers") % {"number": intcomma(days.today.usage.answers)},
            _link(request, "llmproxy.completion", "", date=days.date),
        ),
        _build_outstanding(days, outstanding, request),
        _build_credits(
            days,
            _("Uncollected"),
            lambda day: day.usage.uncollected,
            _("credits of answers that nobody paid for"),
            _link(request, "llmproxy.completion", "uncollected=yes", date=days.date),
        ),
        _build_refunded(days, request),
    ]
    return [card for card in cards if card.link]


def _read_days(now: datetime) -> Days:
    """Read today, yesterday, the same day last week, and the days since that."""
    local = timezone.localdate(now)
    zone = timezone.get_current_timezone()
    ends = borders(local - timedelta(days=7), 8, zone)
    spans = [(ends[7], ends[8]), (ends[6], ends[7]), (ends[0], ends[1]), (ends[1], ends[8])]
    since = DaySums(moved=movements.sum_moved(ends[1]))
    ledger = [*day_sums.sum_spans(spans[:3]), since]
    pairs = zip(ledger, day_totals.sum_spans(spans), strict=True)
    return Days(local.isoformat(), *(Figures(*pair) for pair in pairs))


def _build_sold(days: Days, request: HttpRequest) -> Card:
    return Card(
        _("Sold"),
        _format_money(days.today.ledger.sold),
        _("%(number)s credits") % {"number": intcomma(days.today.ledger.bought)},
        _format_money(days.yesterday.ledger.sold),
        _format_money(days.last_week.ledger.sold),
        _link(request, "credits.purchase", "state__exact=paid", date=days.date),
    )


def _build_refunded(days: Days, request: HttpRequest) -> Card:
    return Card(
        _("Refunds"),
        _format_money(days.today.ledger.sent_back),
        _("and %(number)s credits for usage") % {"number": intcomma(days.today.ledger.given_back)},
        _format_money(days.yesterday.ledger.sent_back),
        _format_money(days.last_week.ledger.sent_back),
        _link(request, "credits.transaction", "type__exact=refund", date=days.date),
    )


def _build_outstanding(days: Days, outstanding: int, request: HttpRequest) -> Card:
    """Build the card of what is owed to users: the earlier figures follow from the movements."""
    value = day_sums.value_credits(outstanding)
    note = _("credits owed to users")
    if value:
        note = _("credits owed to users, about %(money)s") % {"money": _format_money(value)}
    return Card(
        _("Outstanding"),
        intcomma(outstanding),
        note,
        intcomma(outstanding - days.today.moved),
        intcomma(outstanding - days.since_last_week.moved),
        _link(request, "accounts.user", "o=-2"),
    )


def _build_credits(
    days: Days, title: str, read: Callable[[Figures], int], note: str, link: str
) -> Card:
    values = (intcomma(read(day)) for day in (days.today, days.yesterday, days.last_week))
    today, yesterday, last_week = values
    return Card(title, today, note, yesterday, last_week, link)


def _format_money(money: Money) -> str:
    """Return the amounts of all currencies, the largest number of minor units first."""
    ranked = sorted(money.items(), key=lambda pair: -pair[1])
    return " + ".join(format_amount(amount, currency) for currency, amount in ranked) or "0"


def _link(request: HttpRequest, model: str, query: str, *, date: str = "") -> str:
    since = f"created_at_from={date}" if date else ""
    rows = Rows(model, "&".join(part for part in (query, since) if part))
    return rows.url if request.user.has_perm(rows.permission) else ""
