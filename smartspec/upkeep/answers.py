"""The answers to callers: how many failed in the last minutes, and what has no record.

A call that is refused before a provider is asked (401, 402, 429, 503) leaves no row, so that a
refusal costs nothing: its number is not known here. A user whose credits ran out has an alert.
"""

from collections.abc import Iterator
from datetime import UTC

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import AccountAlert
from accounts.toolbox.keyset import find_first_key
from llmproxy.receipts.recent_answers import EVERY, RECENT
from smartspec.upkeep.conditions import Condition, Level, Look, Rows, format_count
from smartspec.upkeep.providers import describe_share, is_slower, judge_share

# More users at once are told: their credits ran out together, or something charges too much.
MANY_USED_UP = 20


def check_answers(look: Look) -> Iterator[Condition]:
    """The share of answers that failed, and how soon they begin, against the day before."""
    recent, before = look.answers.find(EVERY)
    level, says = judge_share(recent, before), describe_share(recent)
    if level is Level.GREEN and is_slower(recent, before):
        level = Level.AMBER
        says = _("Answers begin after %(now)s s; the day before it was %(then)s s.") % {
            "now": round((recent.first_byte_ms or 0) / 1000, 1),
            "then": round((before.first_byte_ms or 0) / 1000, 1),
        }
    values = {
        "recent": recent.calls,
        "failed": recent.failures,
        "recent_share": round(recent.share, 4),
        "day_share": round(before.share, 4),
        "first_byte_ms": recent.first_byte_ms,
    }
    today = f"created_at_from={look.now.astimezone(UTC):%Y-%m-%d}"
    rows = Rows("llmproxy.completion", f"status__exact=failed&{today}")
    yield Condition("answers", level, says[:1].upper() + says[1:], values, rows)


def check_refusals(look: Look) -> Iterator[Condition]:
    """The users whose calls began to be refused for want of credits. Others leave no row."""
    rows = AccountAlert.objects.all()
    since = look.now - RECENT
    first = find_first_key(rows, "id", "created_at", since - RECENT)
    number = rows.filter(
        id__gte=first, created_at__gte=since, kind=AccountAlert.Kind.USED_UP
    ).count()
    says = _("No user ran out of credits in the last 15 minutes.")
    if number:
        says = ngettext(
            "%(number)s user ran out of credits in the last 15 minutes and gets 402.",
            "%(number)s users ran out of credits in the last 15 minutes and get 402.",
            number,
        ) % format_count(number)
    says += " " + _("Other refusals (401, 429, 503) leave no record.")
    level = Level.AMBER if number >= MANY_USED_UP else Level.GREEN
    where = Rows("accounts.accountalert", "kind__exact=used_up")
    yield Condition("refusals", level, says, {"used_up": number}, where)
