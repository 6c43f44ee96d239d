"""Key rotation: encrypt stored secrets with the newest key, so that old keys can be removed.

Each row is updated by one statement, on condition that its value has not changed since it was read.
A value that the site wrote in the meantime stays; it uses the newest key already. So a rotation can
run at any time, can be interrupted and can be repeated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.models import QuerySet

from accounts.toolbox import encryption
from accounts.toolbox.encryption import Unreadable

BATCH = 500  # rows read at a time

Reencrypt = Callable[[str], str | None]  # None: the text uses the newest key already


@dataclass(frozen=True, slots=True)
class Secrets:
    """A column of encrypted texts.

    `within` is for a column whose value contains encrypted texts, such as JSON: it applies the
    function to each of them and returns the new value, or None if nothing has changed.
    """

    rows: Callable[[], QuerySet[Any]]
    column: str
    purpose: str
    within: "Callable[[Any, Reencrypt], Any] | None" = None


@dataclass(slots=True)
class Rotated:
    """The result: rows encrypted anew, rows that needed no change, and keys of unreadable rows."""

    changed: int = 0
    current: int = 0
    unreadable: list[Any] = field(default_factory=list)


def rotate(secrets: Secrets) -> Rotated:
    """Visit every row of a column once and encrypt it with the newest key if needed."""
    done = Rotated()
    reencrypt = partial(encryption.reencrypt, purpose=secrets.purpose)
    for pk, stored in _walk(secrets):
        try:
            value = secrets.within(stored, reencrypt) if secrets.within else reencrypt(stored)
        except Unreadable:
            done.unreadable.append(pk)
            continue
        if value is None:
            done.current += 1
        else:
            unchanged = secrets.rows().filter(pk=pk, **{secrets.column: stored})
            done.changed += unchanged.update(**{secrets.column: value})
    return done


def _walk(secrets: Secrets) -> Iterator[tuple[Any, Any]]:
    """Yield (primary key, stored value) in batches, outside a transaction and in bounded memory."""
    rows, last = secrets.rows().order_by("pk").values_list("pk", secrets.column), None
    while batch := list((rows if last is None else rows.filter(pk__gt=last))[:BATCH]):
        yield from batch
        last = batch[-1][0]
