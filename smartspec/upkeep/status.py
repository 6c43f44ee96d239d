"""How the installation is: all conditions by area, for `manage.py status`, the admin and metrics.

Each question is bounded in time, and one that fails is a red condition with its reason, so that the
others are still told. If the database does not answer at all, it is asked once only.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import Error, connection
from django.db.transaction import atomic
from django.utils.translation import gettext as _

from smartspec.upkeep import database
from smartspec.upkeep.areas import AREAS, WITHOUT_DATABASE, Area
from smartspec.upkeep.conditions import Condition, Level, Look, Question

logger = logging.getLogger(__name__)

QUESTION_SECONDS = 1.0  # Each statement takes milliseconds unless the database is in trouble.
TOTAL_SECONDS = 4.0  # after which no further question is asked, and none goes on


class TooSlowError(Exception):
    """The time for all questions is over."""


@dataclass(frozen=True, slots=True)
class AreaStatus:
    """An area and its conditions, the worst of which counts."""

    area: Area
    conditions: list[Condition]

    @property
    def level(self) -> Level:
        return max((row.level for row in self.conditions), default=Level.GREEN)

    @property
    def worst(self) -> Condition:
        """The first of the most serious conditions; the first one while all is well."""
        return max(self.conditions, key=lambda row: row.level)


def collect(areas: tuple[Area, ...] = AREAS) -> list[AreaStatus]:
    """Return what is true of these areas now, within TOTAL_SECONDS and the last question's time."""
    look, deadline = Look(), time.monotonic() + TOTAL_SECONDS
    in_database = partial(bounded, deadline)
    told = _ask((database.check_database,), look, in_database)
    asked = [question for area in areas for question in area.questions if question not in told]
    told |= _ask([one for one in asked if one in WITHOUT_DATABASE], look, nullcontext)
    if told[database.check_database][0].values:
        told |= _ask([one for one in asked if one not in told], look, in_database)
    found = [AreaStatus(area, _list_told(area, told)) for area in areas]
    return [status for status in found if status.conditions]


def _list_told(area: Area, told: dict[Question, list[Condition]]) -> list[Condition]:
    return [row for question in area.questions for row in told.get(question, ())]


def _ask(
    questions: Sequence[Question], look: Look, within: Callable[[], AbstractContextManager[None]]
) -> dict[Question, list[Condition]]:
    """Return the answers of each question; one red condition if it fails, whatever the reason.

    They share what they are asked `within`: to begin a transaction takes longer than most of them.
    After a failure the next question begins a new one.
    """
    told, waiting = {}, list(questions)
    while waiting:
        question = waiting[0]
        try:
            with within():
                for question in tuple(waiting):
                    told[question] = list(question(look))
                    waiting.remove(question)
        except (Error, OSError, TooSlowError) as error:
            told[question] = [_fail(question, " ".join(str(error).split()), error)]
        except Exception as error:
            logger.exception("status: the question %s failed", question.__name__)
            told[question] = [_fail(question, "", error)]
        waiting = [one for one in waiting if one is not question]
    return told


def _fail(question: Question, reason: str, error: Exception) -> Condition:
    says = _("This cannot be told: %(reason)s") % {"reason": reason or type(error).__name__}
    return Condition(question.__name__.removeprefix("check_"), Level.RED, says)


@contextmanager
def bounded(deadline: float) -> Iterator[None]:
    """Limit each statement, and refuse to begin one after the deadline (of time.monotonic).

    The limit is that of a transaction, because behind a pooler a session is shared. Raises
    TooSlowError, and django.db.Error for a statement that is canceled.
    """
    _refuse_late(deadline)
    with atomic(), connection.cursor() as cursor:
        # Compiling a statement takes longer than each of these short ones.
        cursor.execute(
            f"SET LOCAL jit = off; SET LOCAL statement_timeout = {int(1000 * QUESTION_SECONDS)}"
        )
        with connection.execute_wrapper(_Watch(deadline)):
            yield
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


class _Watch:
    """Refuses statements after the deadline. Django calls it around each of them."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        _refuse_late(self.deadline)
        return execute(*arguments)


def _refuse_late(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TooSlowError(_("the database answers too slowly"))


def find_level(found: list[AreaStatus]) -> Level:
    """Return the most serious level of all areas."""
    return max((status.level for status in found), default=Level.GREEN)
