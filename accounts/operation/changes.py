"""Changes the settings, on behalf of an administrator."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError
from django.db.transaction import atomic, on_commit

from accounts.models import OperatorSettings, User
from accounts.operation import current
from accounts.operation.current import Snapshot
from accounts.operation.variables import VARIABLES, Variable


class StaleSettings(Exception):
    """Another administrator has changed the settings since the page was opened."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one setting. `was_set` and `is_set` tell it from the environment's value."""

    variable: Variable
    old: Any
    new: Any
    was_set: bool
    is_set: bool

    def dump(self) -> dict[str, Any]:
        return {
            "name": self.variable.name,
            "old": self.variable.dump(self.old),
            "new": self.variable.dump(self.new),
            "was_set": self.was_set,
            "is_set": self.is_set,
        }

    def __str__(self) -> str:
        """The change for the administrators' log, whose entries are English data."""
        old, new = (self.variable.dump(value) for value in (self.old, self.new))
        origin = "" if self.is_set else " (environment)"
        return f"{self.variable.name}: {_show(old)} → {_show(new)}{origin}"


def _show(value: Any) -> str:
    return "–" if value in (None, "") else str(value)


def load_change(stored: Mapping[str, Any]) -> Change | None:
    """Return a change of the history; None if this version does not know the setting."""
    variable = VARIABLES.get(stored["name"])
    if variable is None:
        return None
    try:
        old, new = variable.load(stored["old"]), variable.load(stored["new"])
    except ValueError:  # of a version that had other limits
        return None
    return Change(variable, old, new, stored["was_set"], stored["is_set"])


def list_changes(
    before: Snapshot, wanted: Mapping[str, Any], restored: Set[str] = frozenset()
) -> list[Change]:
    """Return what would change if the settings became `wanted`.

    `restored` are the names that get the value of the environment again.
    """
    after = make_snapshot(before, wanted, restored)
    return [
        Change(
            variable,
            before.read_value(name),
            after.read_value(name),
            name in before.values,
            name in after.values,
        )
        for name, variable in VARIABLES.items()
        if before.read_value(name) != after.read_value(name)
        or (name in before.values) != (name in after.values)
    ]


def make_snapshot(
    before: Snapshot, wanted: Mapping[str, Any], restored: Set[str] = frozenset()
) -> Snapshot:
    """Return the settings after a change. A value that stays as it is does not become set."""
    values = dict(before.values)
    for name, value in wanted.items():
        if value != before.read_value(name):
            values[name] = value
    for name in restored:
        values.pop(name, None)
    return Snapshot(before.number + 1, values)


def save(
    *,
    before: Snapshot,
    wanted: Mapping[str, Any],
    restored: Set[str],
    actor: User,
    reason: str,
) -> OperatorSettings:
    """Write the settings as the next row. Raises StaleSettings if `before` is not the newest one.

    This process uses them after the commit, the others after REFRESH_SECONDS at most.
    """
    after = make_snapshot(before, wanted, restored)
    changes = list_changes(before, wanted, restored)
    with atomic():
        if current.load().number != before.number:
            raise StaleSettings
        row = OperatorSettings(
            number=after.number,
            values={name: VARIABLES[name].dump(value) for name, value in after.values.items()},
            changes=[change.dump() for change in changes],
            actor=actor,
            reason=reason,
        )
        _insert(row)
        on_commit(current.refresh, robust=True)
    return row


def _insert(row: OperatorSettings) -> None:
    """Raises StaleSettings if the number is taken."""
    try:
        with atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise StaleSettings from None
