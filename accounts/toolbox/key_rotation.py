"""Secrets at rest under the newest of ENCRYPTION_KEYS, so that an older one can be taken off the list.

Each row is one statement, and only if it is as it was read: what the site writes meanwhile stays, and is under
the newest key already. So it can run at any time, again, and be interrupted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.models import QuerySet

from accounts.toolbox import encryption
from accounts.toolbox.encryption import Unreadable

BATCH = 500

Turn = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Secrets:
    """A column of encrypted texts. `within` says where they are in a value that is not one itself."""

    rows: Callable[[], QuerySet[Any]]
    column: str
    purpose: str
    within: "Callable[[Any, Turn], Any] | None" = None


@dataclass(slots=True)
class Rotated:
    """How many rows were encrypted anew, how many needed nothing, and those that no key reads."""

    changed: int = 0
    current: int = 0
    unreadable: list[Any] = field(default_factory=list)


def rotate(secrets: Secrets) -> Rotated:
    """Every row of these once."""
    done = Rotated()
    turn = partial(encryption.rotated, purpose=secrets.purpose)
    for pk, stored in _walk(secrets):
        try:
            value = secrets.within(stored, turn) if secrets.within else turn(stored)
        except Unreadable:
            done.unreadable.append(pk)
            continue
        if value is None:
            done.current += 1
        else:
            same = secrets.rows().filter(pk=pk, **{secrets.column: stored})
            done.changed += same.update(**{secrets.column: value})
    return done


def _walk(secrets: Secrets) -> Iterator[tuple[Any, Any]]:
    """By primary key, some at a time: no transaction and no memory that grows with the table."""
    rows, last = secrets.rows().order_by("pk").values_list("pk", secrets.column), None
    while batch := list((rows if last is None else rows.filter(pk__gt=last))[:BATCH]):
        yield from batch
        last = batch[-1][0]
