"""What a condition of the installation is: how serious, a sentence, values, and where its rows are.

Ages are taken from the database's clock, because a web server's clock may be wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import connection
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import jobs
from credits.countdown import format_duration
from llmproxy.receipts.recent_answers import RecentAnswers, read_recent_answers

LATE = timedelta(minutes=15)  # `tick` runs every minute; the daily audit takes some of them.


class Level(IntEnum):
    """How serious a condition is: as it should be, to be looked at soon, to be acted on now."""

    GREEN = 0
    AMBER = 1
    RED = 2

    @property
    def key(self) -> str:
        """The name for programs and for the style sheet."""
        return self.name.lower()

    @property
    def word(self) -> str | Promise:
        """The word for people, who may not see the colour."""
        return _WORDS[self]


_WORDS = {
    Level.GREEN: gettext_lazy("Good"),
    Level.AMBER: gettext_lazy("Look soon"),
    Level.RED: gettext_lazy("Act now"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of the admin with the rows behind a condition; `model` is a label, `query` filters."""

    model: str
    query: str = ""

    @property
    def url(self) -> str:
        path = reverse(f"admin:{self.model.replace('.', '_')}_changelist")
        return f"{path}?{self.query}" if self.query else path

    @property
    def permission(self) -> str:
        app, model = self.model.split(".")
        return f"{app}.view_{model}"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `name` and `values` are for programs, `says` is a sentence for people.

    A detail is not told on the first page of the admin: another condition sums it up.
    """

    name: str
    level: Level
    says: str
    values: dict[str, Any] = field(default_factory=dict)
    rows: Rows | None = None
    is_detail: bool = False

    @property
    def is_fine(self) -> bool:
        return self.level is Level.GREEN


class Look:
    """One look at the installation: what several questions of it need, read once."""

    @cached_property
    def now(self) -> datetime:
        """The time by the database."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            row: tuple[datetime] = cursor.fetchone()
        return row[0]

    @cached_property
    def answers(self) -> RecentAnswers:
        """The answers of the last minutes and those of the day before."""
        return read_recent_answers(self.now)

    @cached_property
    def runs(self) -> dict[str, datetime | None]:
        """When each job of `tick` was last done; None for one that has only failed."""
        return jobs.list_runs()

    def is_late(self, moment: datetime | None) -> bool:
        """True if this was longer ago than LATE, or never."""
        return moment is None or self.now - moment > LATE

    def describe_age(self, moment: datetime | None) -> str:
        """Return words such as "5 minutes ago", or "never"."""
        if moment is None:
            return _("never")
        return _("%(time)s ago") % {"time": format_duration(max(self.now - moment, timedelta()))}


Question = Callable[[Look], Iterator[Condition]]


def choose_level(*, red: object = False, amber: object = False) -> Level:
    """Return red or amber if that is true, else green."""
    return Level.RED if red else Level.AMBER if amber else Level.GREEN


def format_count(number: int) -> dict[str, str]:
    """Return the argument of a text with one %(number)s."""
    return {"number": intcomma(number)}
