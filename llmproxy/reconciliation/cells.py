"""Reads the cells of a provider's CSV. What is not certain is refused, with its line and column."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

FIRST_DAY = date(2015, 1, 1)  # no provider of language models is older
MOST_TOKENS = 10**15  # of one line
MOST_USD = 10**8
MOST_CHARACTERS = 200  # of a name
FORMULAS = (*"=+-@＝＋－＠", "\t", "\r", "\n")
# Thousands may be grouped with a comma, a space or an apostrophe, but only in groups of three.
NUMBER = re.compile(
    r"[$]?\s?(\d{1,20}|[1-9]\d{0,2}(?:([, \u00a0\u202f'’])\d{3})(?:\2\d{3})*)"
    r"(\.\d{1,40})?([eE][+-]?\d{1,2})?\Z",
    re.ASCII,
)
GROUPS = re.compile(r"[, \u00a0\u202f'’$]")
EPOCH = re.compile(r"\d{9,10}(\.0+)?\Z", re.ASCII)
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


class FileRefused(Exception):
    """A file cannot be imported. The text tells the person why, and what to do."""


@dataclass(frozen=True, slots=True)
class Cells:
    """One line of a file: its number, and its cells by the normalised name of the column."""

    number: int
    by_name: Mapping[str, str]
    has_decimal_commas: bool = False

    def __contains__(self, name: str) -> bool:
        return bool(self.by_name.get(name))

    def get_name(self, *names: str) -> str:
        """The text of the first of these columns that is filled; empty if none is."""
        column = next((name for name in names if name in self), names[0])
        text = self.by_name.get(column, "")
        if text.startswith(FORMULAS):
            raise self.refuse(column, _("is a formula, which no export has"))
        if len(text) > MOST_CHARACTERS or not text.isprintable():
            raise self.refuse(column, _("is no name"))
        return text

    def get_count(self, name: str) -> int | None:
        """A number of tokens or requests; None if the cell is empty or the column is missing."""
        number = self._get_number(name, MOST_TOKENS)
        if number is not None and number != number.to_integral_value():
            raise self.refuse(name, _("is no whole number"))
        return None if number is None else int(number)

    def require_count(self, name: str) -> int:
        """Like `get_count`, but an empty cell is refused."""
        number = self.get_count(name)
        if number is None:
            raise self.refuse(name, _("is empty"))
        return number

    def get_usd(self, name: str) -> Decimal | None:
        """An amount in US dollars; None if the cell is empty or the column is missing."""
        return self._get_number(name, MOST_USD)

    def require_usd(self, name: str) -> Decimal:
        """Like `get_usd`, but an empty cell is refused."""
        usd = self.get_usd(name)
        if usd is None:
            raise self.refuse(name, _("is empty"))
        return usd

    def get_moment(self, name: str) -> datetime:
        """A moment in UTC. One without a time zone is in UTC; a day is its midnight."""
        text = self.by_name.get(name, "")
        try:
            if EPOCH.match(text):
                moment = datetime.fromtimestamp(int(float(text)), UTC)
            else:
                moment = datetime.fromisoformat(text.removesuffix(" UTC"))
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise self.refuse(name, _("is no date or time that is certain")) from None
        if not FIRST_DAY <= moment.date() <= timezone.now().date() + timedelta(days=1):
            raise self.refuse(name, _("is no day of a bill"))
        return moment

    def get_day(self, name: str) -> date:
        """A day in UTC."""
        return self.get_moment(name).date()

    def _get_number(self, name: str, most: int) -> Decimal | None:
        text = self.by_name.get(name, "")
        if not text:
            return None
        if text.startswith(("=", "@")):
            raise self.refuse(name, _("is a formula, which no export has"))
        if text.lstrip("$(").startswith(("-", "−")) or text.startswith("("):
            raise self.refuse(name, _("is negative"))
        if not NUMBER.match(text) or (self.has_decimal_commas and "," in text):
            raise self.refuse(name, _("is no number that is certain"))
        number = Decimal(GROUPS.sub("", text))
        if number > most:
            raise self.refuse(name, _("is too high"))
        return number

    def refuse(self, name: str, problem: str) -> FileRefused:
        """The refusal of one cell of this line."""
        return FileRefused(
            _("Line %(line)d, column “%(column)s”: “%(text)s” %(problem)s.")
            % {
                "line": self.number,
                "column": name,
                "text": self.by_name.get(name, "")[:40],
                "problem": problem,
            }
        )
