"""What is set at run time, as this process knows it.

Reading takes neither a query nor a lock: it looks into a dictionary that another thread replaces as
a whole (accounts/operation/watch.py). A setting that nobody has set has the value of the
environment.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.models import OperatorSettings
from accounts.operation.variables import VARIABLES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is set, by name, after the change with this number; number 0 is before any change."""

    number: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)

    def read_value(self, name: str) -> Any:
        return self.values[name] if name in self.values else getattr(settings, name)


_snapshot = Snapshot()


def load() -> Snapshot:
    """Read what is set from the database. Raises django.db.Error."""
    row = OperatorSettings.objects.order_by("-number").values_list("number", "values").first()
    return make_snapshot(*row) if row else Snapshot()


def make_snapshot(number: int, stored: dict[str, Any]) -> Snapshot:
    """Return the settings of a stored row, without those that this version cannot use."""
    values, problems = {}, []
    for name in stored.keys() & VARIABLES.keys():
        try:
            values[name] = VARIABLES[name].load(stored[name])
        except ValueError as error:
            problems.append(str(error))
    if problems and number != _snapshot.number:  # once, not at each refresh
        logger.warning("settings are left to the environment: %s", "; ".join(problems))
    return Snapshot(number, values)


def refresh() -> None:
    """Take over what is set now. Raises django.db.Error, and then everything stays as it is."""
    put(load())


def put(snapshot: Snapshot) -> None:
    """Replace what this process knows. The assignment is atomic, so readers need no lock."""
    global _snapshot
    _snapshot = snapshot


def read_value(name: str) -> Any:
    """Return the present value of one of VARIABLES."""
    return _snapshot.read_value(name)


def read_default_price() -> Decimal | None:
    """Return the credits for 1,000 tokens of models without their own price; None: not sold."""
    price: Decimal | None = _snapshot.read_value("WEB_LLM_CREDIT_PER_1K_TOKENS")
    return price


def read_requests_per_minute() -> int:
    """Return the limit of a user whose plan has none."""
    limit: int = _snapshot.read_value("WEB_LLM_RPM")
    return limit


def read_tokens_per_minute() -> int:
    """Return the limit of a user whose plan has none."""
    limit: int = _snapshot.read_value("WEB_LLM_TPM")
    return limit


def read_signup_bonus() -> tuple[int, int]:
    """Return the credits of the sign-up bonus, and the days after which they expire; 0: never."""
    return _snapshot.read_value("SIGNUP_BONUS_CREDITS"), _snapshot.read_value("SIGNUP_BONUS_DAYS")


def is_sign_up_open() -> bool:
    return bool(_snapshot.read_value("SIGN_UP_OPEN"))


def is_maintained() -> bool:
    """Return whether the gateway refuses new requests."""
    return bool(_snapshot.read_value("MAINTENANCE"))


def read_banner() -> str:
    """Return the announcement in the reader's language; empty if there is none."""
    return _choose_text("BANNER_EN", "BANNER_TH")


def read_maintenance() -> tuple[str, int]:
    """Return what the operator says about the maintenance, and the seconds to wait."""
    words = _choose_text("MAINTENANCE_EN", "MAINTENANCE_TH")
    default = _("The service is under maintenance. Try again later.")
    return words or default, _snapshot.read_value("MAINTENANCE_SECONDS")


def _choose_text(english: str, thai: str) -> str:
    own = thai if (get_language() or "").startswith("th") else english
    return str(_snapshot.read_value(own) or _snapshot.read_value(english))
