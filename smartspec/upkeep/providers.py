"""The providers: which are down, cool down, fail more than before, or begin more slowly."""

from collections.abc import Iterator

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from llmproxy.models import Deployment, Provider
from llmproxy.receipts.recent_answers import RECENT, Span
from smartspec.upkeep.conditions import (
    Condition,
    Level,
    Look,
    Rows,
    choose_level,
    format_count,
)

# Fewer failures may be bad luck. Where half of the calls fail, callers notice; a share from SOME on
# is told if it is GROWN times that of the day before, and one from MANY on in any case.
LEAST_FAILURES = 3
SOME, MANY, MOST = 0.05, 0.2, 0.5
GROWN = 2
# A first byte is slow if it takes GROWN times as long as the day before, and two seconds more: the
# median of a fast model moves by tenths without anybody noticing.
SLOWER_MS = 2000
LEAST_CALLS = 5  # of a median


def check_providers(look: Look) -> Iterator[Condition]:
    """How many providers work, and one condition for each active one."""
    active = list(Provider.objects.filter(is_active=True).order_by("name"))
    down = {row.pk for row in active if _is_down(row, look)}
    working = {"number": len(active) - len(down), "active": len(active)}
    says = _("No provider is set up: nobody can use a model.")
    if active:
        says = (
            ngettext(
                "%(number)d of %(active)d provider works.",
                "%(number)d of %(active)d providers work.",
                len(active),
            )
            % working
        )
    level = choose_level(amber=not active)
    yield Condition("providers", level, says, {"down": len(down)}, Rows("llmproxy.provider"))
    alone = _list_without_others(down)
    for provider in active:
        yield _check_provider(provider, look, has_others=provider.pk not in alone)


def _check_provider(provider: Provider, look: Look, *, has_others: bool) -> Condition:
    recent, before = look.answers.find(provider.slug)
    is_down, is_cooling = _is_down(provider, look), _is_cooling(provider, look)
    level, says = judge_share(recent, before), describe_share(recent)
    if is_down:
        level = Level.AMBER if has_others else Level.RED
        says = _describe_down(provider, look)
        if not has_others:
            says += " " + _("No other provider has its models.")
    elif provider.failures and not look.is_late(provider.last_failure_at):
        level = max(level, Level.AMBER)
        says = ngettext(
            "%(number)s failure in a row.", "%(number)s failures in a row.", provider.failures
        ) % format_count(provider.failures)
    elif level is Level.GREEN and is_slower(recent, before):
        level = Level.AMBER
        says = _("Answers begin after %(now)s s; the day before it was %(then)s s.") % {
            "now": round((recent.first_byte_ms or 0) / 1000, 1),
            "then": round((before.first_byte_ms or 0) / 1000, 1),
        }
    values = {
        "failures": provider.failures,
        "cooling": is_cooling,
        "down": is_down,
        "recent_calls": recent.calls,
        "recent_failures": recent.failures,
        "day_share": round(before.share, 4),
        "recent_share": round(recent.share, 4),
        "first_byte_ms": recent.first_byte_ms,
        "day_first_byte_ms": before.first_byte_ms,
    }
    rows = Rows("llmproxy.provider", f"q={provider.slug}")
    text = _("%(name)s: %(says)s") % {"name": provider.name, "says": says}
    return Condition(f"provider {provider.slug}", level, text, values, rows)


def _is_cooling(provider: Provider, look: Look) -> bool:
    return provider.cooling_until is not None and provider.cooling_until > look.now


def _is_down(provider: Provider, look: Look) -> bool:
    """True while it cools down, and afterwards until a call succeeds."""
    is_blamed = provider.fails_for_others or provider.cooling_until is not None
    has_failed = provider.failures >= settings.LLM_COOL_AFTER_FAILURES and is_blamed
    return _is_cooling(provider, look) or has_failed


def _describe_down(provider: Provider, look: Look) -> str:
    """Describe a provider that is down: failures in a row, the last error and its time."""
    says = _("down, %(number)s failures in a row, the last %(ago)s (%(error)s).")
    return says % {
        **format_count(provider.failures),
        "ago": look.describe_age(provider.last_failure_at),
        "error": provider.last_error or "–",
    }


def _list_without_others(down: set[int]) -> set[int]:
    """Return those of these providers that have a model which no other working provider has."""
    served: dict[int, set[int]] = {}
    rows = Deployment.objects.filter(
        is_active=True, provider__is_active=True, model__is_active=True
    ).values_list("model", "provider")
    for model, provider in rows if down else ():
        served.setdefault(model, set()).add(provider)
    return {row for providers in served.values() if providers <= down for row in providers}


def judge_share(recent: Span, before: Span) -> Level:
    """Judge the share of failures of the last minutes, against that of the day before.

    The failures of one user may be the fault of their requests, unless every call failed.
    """
    is_of_all = recent.failing_callers > 1 or recent.failures == recent.calls
    if recent.failures < LEAST_FAILURES or not is_of_all:
        return Level.GREEN
    has_grown = recent.share >= SOME and recent.share >= GROWN * before.share
    return choose_level(red=recent.share >= MOST, amber=recent.share >= MANY or has_grown)


def describe_share(span: Span) -> str:
    """Say how many of the calls failed, in percent, because the figures may be of a sample."""
    minutes = int(RECENT.total_seconds() // 60)
    if not span.calls:
        return _("no request in the last %(minutes)d minutes.") % {"minutes": minutes}
    says = _("%(percent)s %% of requests failed in the last %(minutes)d minutes.") % {
        "percent": f"{100 * span.share:.1f}".removesuffix(".0"),
        "minutes": minutes,
    }
    if span.failing_callers == 1:
        says += " " + _("All those were sent by one user.")
    return says


def is_slower(recent: Span, before: Span) -> bool:
    """True if answers begin much later than the day before."""
    now, then = recent.first_byte_ms, before.first_byte_ms
    if now is None or then is None or recent.calls < LEAST_CALLS:
        return False
    return now >= GROWN * then and now >= then + SLOWER_MS


def count_failing() -> int:
    """Count the active providers that are down or have just failed, for the menu."""
    look = Look()
    rows = Provider.objects.filter(is_active=True, failures__gt=0)
    return sum(_is_down(row, look) or not look.is_late(row.last_failure_at) for row in rows)
