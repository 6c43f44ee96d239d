"""Security: failed log-ins, credentials that were used twice, administrators without a factor."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import AuthEvent, User
from accounts.toolbox.keyset import find_first_key
from smartspec.upkeep.conditions import Condition, Look, Rows, choose_level, format_count

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARGIN = timedelta(minutes=2)  # the most by which the order of keys and that of times may differ
# Failed log-ins of an hour. One network may guess 100 times an hour before it has to wait
# (ACCOUNT_RATE_LIMITS), so more than 300 are guesses from many networks; people who mistype
# their password make some.
MANY_FAILED, MOST_FAILED = 30, 300
COUNTED = 1000  # more than this is "more than"
MANY_REUSED = 3  # A single reuse may be a device that was restored from a copy of itself.

SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def check_log_ins(look: Look) -> Iterator[Condition]:
    """The failed log-ins of the last hour."""
    number = _count_since(AuthEvent.Kind.LOG_IN_FAILED, look.now - HOUR)
    says = _("No log-in failed in the last hour.")
    if number:
        says = ngettext(
            "%(number)s log-in failed in the last hour.",
            "%(number)s log-ins failed in the last hour.",
            number,
        ) % format_count(number)
    level = choose_level(red=number >= MOST_FAILED, amber=number >= MANY_FAILED)
    rows = Rows("accounts.authevent", "kind__exact=log_in_failed")
    yield Condition("log-ins", level, says, {"failed": number}, rows)


def check_reuse(look: Look) -> Iterator[Condition]:
    """The refresh tokens and device codes that came again in the last day: perhaps stolen."""
    kinds = (AuthEvent.Kind.REFRESH_REUSED, AuthEvent.Kind.CODE_REPLAYED)
    counts = {kind.value: _count_since(kind, look.now - DAY) for kind in kinds}
    number = sum(counts.values())
    says = _("No used token or code came again in the last day.")
    if number:
        says = ngettext(
            "A used refresh token or device code came again %(number)s time in the last day: it"
            " may be stolen, and its device was disconnected.",
            "Used refresh tokens or device codes came again %(number)s times in the last day: they"
            " may be stolen, and their devices were disconnected.",
            number,
        ) % format_count(number)
    shown = next((kind for kind in counts if counts[kind]), kinds[0].value)
    level = choose_level(red=number >= MANY_REUSED, amber=number)
    rows = Rows("accounts.authevent", f"kind__exact={shown}")
    yield Condition("reuse", level, says, counts, rows)


def check_administrators(look: Look) -> Iterator[Condition]:
    """The administrators whose password alone opens the admin."""
    number = list_without_factor().count()
    says = _("Every administrator has a second factor.")
    if number:
        says = ngettext(
            "%(number)s administrator has no second factor.",
            "%(number)s administrators have no second factor.",
            number,
        ) % format_count(number)
    rows = Rows("accounts.user", "is_staff__exact=1")
    yield Condition("factors", choose_level(amber=number), says, {"without": number}, rows)


def list_without_factor() -> QuerySet[User]:
    """Return the active administrators with neither an authenticator app nor a passkey."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=SECOND_FACTORS)
    return User.objects.filter(~Exists(factors), is_active=True, is_staff=True)


def _count_since(kind: AuthEvent.Kind, moment: datetime) -> int:
    """Count the events of a kind since then, up to COUNTED. An index has them by kind and id."""
    rows = AuthEvent.objects.filter(kind=kind)
    first = find_first_key(rows, "id", "created_at", moment - MARGIN)
    recent = rows.filter(id__gte=first, created_at__gte=moment).order_by()
    return recent[:COUNTED].count()
