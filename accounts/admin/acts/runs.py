"""The run of a bulk act: in chunks, each row once, whatever is closed or killed between them.

A row and what is written down about it are one transaction, unless the act asks a server. So what
was done says so, and what does not say so is done by the next chunk.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import Count, Q
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.admin.acts.page import ActPage, By
from accounts.models import BulkAct, BulkActRow, User
from accounts.toolbox.exceptions import Refusal
from accounts.toolbox.request_source import Source

MOST = 500  # rows of one act
CHUNK_ROWS = 25
CHUNK_SECONDS = 2.0
ABANDONED = timedelta(minutes=2)  # after which a row under way was left by a process that ended
State = BulkActRow.State


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of a bulk act are in which state."""

    every: int
    done: int
    skipped: int

    @property
    def ended(self) -> int:
        return self.done + self.skipped

    @property
    def waiting(self) -> int:
        return self.every - self.ended


def make_key() -> str:
    """Return the key of a form, with which it begins one bulk act."""
    return secrets.token_urlsafe(16)


def name_act(model_admin: Any, act: type[ActPage]) -> str:
    return f"{model_admin.opts.label_lower}.{act.name}"


def start(name: str, act: type[ActPage], rows: Sequence[Any], by: By) -> BulkAct:
    """Write down a bulk act with its rows; the same form again returns the same bulk act.

    Raises Refusal if the key is of somebody else.
    """
    try:
        with atomic():
            bulk = BulkAct.objects.create(act=name, actor=by.actor, reason=by.reason, key=by.key)
            BulkActRow.objects.bulk_create(
                BulkActRow(bulk=bulk, object_id=str(row.pk), name=act.describe(row)[:100])
                for row in rows
            )
    except IntegrityError:
        earlier = BulkAct.objects.filter(key=by.key, actor=by.actor, act=name).first()
        if earlier is None:
            raise Refusal(_("This form is incomplete. Open it again.")) from None
        return earlier
    return bulk


def count(bulk: BulkAct) -> Counts:
    """Count the rows by state."""
    sums = bulk.rows.aggregate(
        every=Count("pk"),
        done=Count("pk", filter=Q(state=State.DONE)),
        skipped=Count("pk", filter=Q(state=State.SKIPPED)),
    )
    return Counts(**sums)


def run_chunk(bulk: BulkAct, act: type[ActPage], targets: Any, *, actor: User) -> None:
    """Do the act to the next rows: at most CHUNK_ROWS, and no new one after CHUNK_SECONDS.

    `targets` is the queryset in which the rows are looked up.
    """
    end = time.monotonic() + CHUNK_SECONDS
    for _number in range(CHUNK_ROWS):
        if time.monotonic() > end or (row := _claim(bulk)) is None:
            break
        _do_one(bulk, row, act, targets, actor)
    _finish(bulk)


def stop(bulk: BulkAct) -> None:
    """Leave out the rows that wait."""
    bulk.rows.filter(state=State.WAITING).update(state=State.SKIPPED, outcome=_("Stopped"))
    _finish(bulk)


def _finish(bulk: BulkAct) -> None:
    if not bulk.rows.filter(state__in=(State.WAITING, State.RUNNING)).exists():
        unfinished = BulkAct.objects.filter(pk=bulk.pk, finished_at=None)
        unfinished.update(finished_at=timezone.now())


def _claim(bulk: BulkAct) -> BulkActRow | None:
    """Claim the next row for this process; None if no row waits."""
    now = timezone.now()
    waits = Q(state=State.WAITING) | Q(state=State.RUNNING, claimed_at__lt=now - ABANDONED)
    with atomic():
        rows = bulk.rows.filter(waits).order_by("pk").select_for_update(skip_locked=True)
        row = rows.first()
        if row is not None:
            row.state, row.claimed_at = State.RUNNING, now
            row.save(update_fields=["state", "claimed_at"])
    return row


def _do_one(bulk: BulkAct, row: BulkActRow, act: type[ActPage], targets: Any, actor: User) -> None:
    by = By(actor, bulk.reason, f"bulk:{bulk.pk}:{row.pk}", Source(is_administrator=True))
    if act.asks_network:
        _write(row, *_try(act, targets, row, by))
        return
    with atomic():
        _write(row, *_try(act, targets, row, by))


def _try(act: type[ActPage], targets: Any, row: BulkActRow, by: By) -> tuple[State, str]:
    """Do the act to one row; return what became of it, in words."""
    target = targets.filter(pk=row.object_id).first()
    if target is None:
        return State.SKIPPED, _("This row does not exist any more.")
    if not act.may(by.actor, target):
        return State.SKIPPED, _("You may not do this to this row.")
    try:
        return State.DONE, act.do(target, by, {})
    except Refusal as refusal:
        return State.SKIPPED, refusal.message


def _write(row: BulkActRow, state: State, outcome: str) -> None:
    BulkActRow.objects.filter(pk=row.pk).update(state=state, outcome=outcome[:500])
