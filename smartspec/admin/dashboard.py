"""The first page of the admin: the status, the cards, and the newest transactions."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import Error
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from credits.models import Transaction
from llmproxy.usage import operators
from smartspec.admin.cards import build_cards
from smartspec.admin.charts.page import build_charts
from smartspec.admin.status_page import build_strip
from smartspec.upkeep.status import TooSlowError, bounded

logger = logging.getLogger(__name__)

FIGURES_SECONDS = 3.0  # They take less than a tenth of that with ten million completions.
DAYS = 30
NEWEST = 10


@dataclass(frozen=True, slots=True)
class Fact:
    """A number in words below the cards. `link` leads to the list of the counted rows."""

    name: str
    value: int
    says: str
    link: str = ""


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the status, the figures and the newest transactions, as far as they may be seen.

    This is Unfold's DASHBOARD_CALLBACK.
    """
    context["title"] = gettext_lazy("Overview")
    context["strip"] = build_strip(request)
    context["charts"] = build_charts(request)
    if request.user.has_perm("credits.view_transaction"):
        context |= _read_figures(request)
    return context


def _read_figures(request: HttpRequest) -> dict[str, Any]:
    """Return the figures, or why there are none: the status has to be shown in any case."""
    try:
        with bounded(time.monotonic() + FIGURES_SECONDS):
            sums = _sum_users()
            return {
                "cards": build_cards(request, sums["outstanding"]),
                "facts": [*_describe_current(sums), _count_answers()],
                "newest": list(_list_newest()),
            }
    except (Error, TooSlowError) as error:
        logger.warning("the figures of the first page are not shown: %s", error)
        return {"has_no_figures": True}


def _sum_users() -> dict[str, int]:
    """Sum up the accounts, which are read once for the cards and the facts."""
    sums: dict[str, int] = User.objects.aggregate(
        outstanding=Sum("credits", default=0),
        users=Count("pk", filter=Q(is_active=True)),
        held=Sum("credits_held", default=0),
        holds=Sum("open_holds", default=0),
    )
    return sums


def _describe_current(sums: dict[str, int]) -> Iterator[Fact]:
    users = ngettext("%(number)s active user", "%(number)s active users", sums["users"])
    holds = ngettext(
        "%(number)s answer in progress", "%(number)s answers in progress", sums["holds"]
    )
    held = ngettext("%(number)s credit reserved", "%(number)s credits reserved", sums["held"])
    open_holds = f"{reverse('admin:credits_hold_changelist')}?state__exact=open"
    yield _build_fact("users", sums["users"], users, reverse("admin:accounts_user_changelist"))
    yield _build_fact("holds", sums["holds"], holds, open_holds)
    yield _build_fact("held", sums["held"], held, open_holds)


def _count_answers() -> Fact:
    number = operators.sum_since(timezone.now() - timedelta(days=DAYS)).answers
    says = ngettext("%(number)s answer in 30 days", "%(number)s answers in 30 days", number)
    return _build_fact("answers", number, says, reverse("admin:llmproxy_completion_changelist"))


def _build_fact(name: str, value: int, says: str, link: str) -> Fact:
    return Fact(name, value, says % {"number": intcomma(value)}, link)


def _list_newest() -> QuerySet[Transaction]:
    return Transaction.objects.select_related("user").order_by("-pk")[:NEWEST]
