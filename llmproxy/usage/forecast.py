"""About how many days the credits of a user last, at the pace of the last two weeks.

This is arithmetic only. The pace is the median of whole days, so that one busy day does not
change it; if most days had no use, it is the mean. Credits that expire before they would be spent
are not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

DAYS = 14  # whole days from which the pace is computed
FEWEST = 3  # whole days that an account must have before there is a forecast
HORIZON = 90  # days; no forecast goes further than this.
SPREAD = 1.25  # The factor by which the pace may be faster or slower.


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits that expire together. `days` is the number of whole days they are left; None: ever.

    Lots are in the order in which the ledger spends them.
    """

    credits: int
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The credits last `low` to `high` days; None is more than HORIZON."""

    low: int | None
    high: int | None


def estimate(used: Sequence[int], lots: Sequence[Lot]) -> Estimate | None:
    """Return how long the lots last; None if it cannot be said.

    `used` are the credits charged on each whole day, the newest last; days without use are 0, and
    days before the account was made are left out.
    """
    days = used[-DAYS:]
    if len(days) < FEWEST or not any(days) or not any(lot.credits > 0 for lot in lots):
        return None
    pace = median(days) or fmean(days)
    return Estimate(_run(pace * SPREAD, lots), _run(pace / SPREAD, lots))


def _run(pace: float, lots: Sequence[Lot]) -> int | None:
    """Spend `pace` credits a day, and return after how many whole days there are too few."""
    left = [float(max(lot.credits, 0)) for lot in lots]
    for day in range(HORIZON + 1):
        due = pace
        for number, lot in enumerate(lots):
            if lot.days is not None and lot.days < day:
                continue
            taken = min(left[number], due)
            left[number] -= taken
            due -= taken
        if due > 1e-9:
            return day
    return None
