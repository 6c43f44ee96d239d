"""The settings that administrators change at run time, and which of their values can work.

Each has the name of a Django setting. The value of that setting, which comes from the environment,
applies as long as nothing is set here.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.toolbox.typed.names import clean_name

MAX_TEXT = 300
PRICE_PLACES = 6  # as many as the price of a model has


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting. `help` says what it does, in words for administrators."""

    name: str
    label: str | Promise
    help: str | Promise

    @property
    def limits(self) -> tuple[int | Decimal, int]:
        """The least and the largest number (smartspec/numbers.py)."""
        return settings.NUMBER_LIMITS[self.name]

    def load(self, stored: Any) -> Any:
        """Return the value of what is stored. Raises ValueError if it cannot work."""
        raise NotImplementedError

    def dump(self, value: Any) -> Any:
        """Return what is stored of a value, as JSON knows it."""
        return value

    def describe(self, value: Any) -> str:
        """Return a value in words."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Number(Variable):
    """A whole number within its limits. `zero` is what 0 means."""

    zero: str | Promise = ""

    def load(self, stored: Any) -> int:
        least, most = self.limits
        if type(stored) is not int or not least <= stored <= most:
            raise ValueError(f"{self.name}: {stored!r} is not between {least} and {most}")
        return stored

    def describe(self, value: Any) -> str:
        return str(self.zero) if value == 0 and self.zero else str(intcomma(value))


@dataclass(frozen=True, slots=True)
class Price(Variable):
    """A price in credits, stored as text; None if there is none."""

    def load(self, stored: Any) -> Decimal | None:
        if stored is None:
            return None
        least, most = self.limits
        try:
            price = Decimal(stored)
        except (InvalidOperation, TypeError):
            raise ValueError(f"{self.name}: {stored!r} is not a price") from None
        if not (price.is_finite() and least <= price <= most):
            raise ValueError(f"{self.name}: {stored!r} is not between {least} and {most}")
        return price

    def dump(self, value: Any) -> str | None:
        return None if value is None else f"{value.normalize():f}"

    def describe(self, value: Any) -> str:
        return _("not sold") if value is None else f"{value.normalize():f}"


@dataclass(frozen=True, slots=True)
class Switch(Variable):
    """A setting that is on or off. `on` and `off` say what that means."""

    on: str | Promise
    off: str | Promise

    def load(self, stored: Any) -> bool:
        if type(stored) is not bool:
            raise ValueError(f"{self.name}: {stored!r} is neither true nor false")
        return stored

    def describe(self, value: Any) -> str:
        return str(self.on if value else self.off)


@dataclass(frozen=True, slots=True)
class Text(Variable):
    """A plain text on one line for people in one language; it may be empty."""

    most: ClassVar[int] = MAX_TEXT

    def load(self, stored: Any) -> str:
        try:
            if type(stored) is not str or len(stored) > self.most or clean_name(stored) != stored:
                raise ValueError(f"{self.name}: the text cannot be shown")
        except ValidationError as error:
            raise ValueError(f"{self.name}: {'; '.join(error.messages)}") from None
        return stored

    def describe(self, value: Any) -> str:
        return value or "–"


GROUPS: tuple[tuple[str | Promise, tuple[Variable, ...]], ...] = (
    (
        gettext_lazy("Prices and limits"),
        (
            Price(
                "WEB_LLM_CREDIT_PER_1K_TOKENS",
                gettext_lazy("Default price"),
                gettext_lazy(
                    "Credits for 1,000 tokens of models without a price of their own. If it is "
                    "empty, such models are not sold."
                ),
            ),
            Number(
                "WEB_LLM_RPM",
                gettext_lazy("Requests per minute"),
                gettext_lazy("For each user whose plan has no limit of its own."),
            ),
            Number(
                "WEB_LLM_TPM",
                gettext_lazy("Tokens per minute"),
                gettext_lazy("For each user whose plan has no limit of its own."),
            ),
        ),
    ),
    (
        gettext_lazy("New people"),
        (
            Switch(
                "SIGN_UP_OPEN",
                gettext_lazy("Sign-up"),
                gettext_lazy(
                    "While it is closed, nobody can create an account. People with an account log "
                    "in and connect devices as before."
                ),
                on=gettext_lazy("open"),
                off=gettext_lazy("closed"),
            ),
            Number(
                "SIGNUP_BONUS_CREDITS",
                gettext_lazy("Sign-up bonus"),
                gettext_lazy("Credits that new people get once their address is verified."),
            ),
            Number(
                "SIGNUP_BONUS_DAYS",
                gettext_lazy("Bonus expires after"),
                gettext_lazy("Days after the sign-up. 0: never."),
                zero=gettext_lazy("never"),
            ),
        ),
    ),
    (
        gettext_lazy("Announcement"),
        (
            Text(
                "BANNER_EN",
                gettext_lazy("Announcement in English"),
                gettext_lazy("Shown on top of each page of the site. Empty: nothing is shown."),
            ),
            Text(
                "BANNER_TH",
                gettext_lazy("Announcement in Thai"),
                gettext_lazy("Empty: Thai readers see the English text."),
            ),
        ),
    ),
    (
        gettext_lazy("Maintenance"),
        (
            Switch(
                "MAINTENANCE",
                gettext_lazy("Maintenance"),
                gettext_lazy(
                    "While it is on, the API for language models refuses new requests with 503. "
                    "Answers that are being written are finished. Pages, log-in and this "
                    "administration work as usual."
                ),
                on=gettext_lazy("on"),
                off=gettext_lazy("off"),
            ),
            Text(
                "MAINTENANCE_EN",
                gettext_lazy("Maintenance message in English"),
                gettext_lazy("What programs and people are told. Empty: a usual sentence."),
            ),
            Text(
                "MAINTENANCE_TH",
                gettext_lazy("Maintenance message in Thai"),
                gettext_lazy("Empty: Thai readers see the English text."),
            ),
            Number(
                "MAINTENANCE_SECONDS",
                gettext_lazy("Try again after"),
                gettext_lazy("Seconds that programs are told to wait (Retry-After)."),
            ),
        ),
    ),
)
VARIABLES: dict[str, Variable] = {
    variable.name: variable for _title, group in GROUPS for variable in group
}
