"""What several requests ask of PostgreSQL at the same moment goes there together: one round trip, one commit for all.

While one batch is under way, whoever comes waits for the next; who comes alone goes at once. All of a batch commit or
none does, and none of them is told before the commit (docs/decisions/0018).
"""

import threading
import time
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
from django.db import Error, connection

MOST_TOGETHER, FEW = 16, 4
PATIENCE_SECONDS = (
    0.05  # then a batch is stuck behind somebody's lock, and nobody waits for it any more
)
LOCK_TIMEOUT = (
    "100ms"  # of a batch of several: then everybody goes alone, and waits for their own row only
)
ALONE_BYTES = 64 * 1024  # what is so large has a round trip of its own


def _taken() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Entry:
    asked: str
    user: int  # whose row is locked: in the same order by everybody, or two batches could wait for each other
    called: Any  # a lock, released when the answer is there, or it is this entry's turn to lead
    said: str | None = None
    error: Error | None = None


class Batches:
    """The calls of one function of the database, which takes and gives JSON."""

    def __init__(self, function: LiteralString) -> None:
        calls = "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS calls(asked, number)"
        self._one = f"SELECT number, {function}(asked)::text FROM {calls}"  # noqa: S608
        self._several = f"{self._one}, set_config('lock_timeout', '{LOCK_TIMEOUT}', true)"
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._leader: _Entry | None = None  # of the batch that is waited for
        self._since = 0.0

    def ask(self, asked: str, *, user: int) -> Any:
        """What the function says to this JSON, committed. Raises what a statement of its own would raise."""
        if connection.in_atomic_block or len(asked) > ALONE_BYTES:
            return self._alone(asked)
        entry = _Entry(asked, user, _taken())
        if self._leads(entry):
            self._run(entry)
        if entry.error is not None:
            raise type(entry.error)(*entry.error.args) from entry.error.__cause__
        return self._alone(asked) if entry.said is None else orjson.loads(entry.said)

    def _leads(self, entry: _Entry) -> bool:
        """Whether this one has to run a batch; if not, it was in one."""
        with self._lock:
            if self._leader is None:
                self._lead(entry)
                return True
            patience = PATIENCE_SECONDS * (
                1 + len(self._waiting) // MOST_TOGETHER
            )  # so many batches are before it
            self._waiting.append(entry)
        try:
            while not entry.called.acquire(timeout=patience) and not self._overtakes(entry):
                pass
        except BaseException:  # whoever is ended while they wait does not keep a batch waiting
            self._leave(entry)
            raise
        return self._leader is entry

    def _lead(self, entry: _Entry | None) -> None:
        self._leader, self._since = entry, time.monotonic()

    def _overtakes(self, entry: _Entry) -> bool:
        """Whether this one now leads, past a batch that is stuck; behind a long queue that moves everybody waits."""
        with self._lock:
            if entry in self._waiting and time.monotonic() - self._since >= PATIENCE_SECONDS:
                self._waiting.remove(entry)
                self._lead(entry)
            return self._leader is entry

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            if entry in self._waiting:
                self._waiting.remove(entry)
        self._finish(entry, [])

    def _taken_along(self) -> list[_Entry]:
        """Half of those who wait, if they are not few: the worker answers one half while PostgreSQL has the other."""
        with self._lock:
            most = min(max((len(self._waiting) + 1) // 2, FEW - 1), MOST_TOGETHER - 1)
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken

    def _run(self, leader: _Entry) -> None:
        batch = sorted([leader, *self._taken_along()], key=lambda entry: entry.user)
        try:
            for number, said in self._said([entry.asked for entry in batch]):
                batch[number - 1].said = said
        except Error as error:
            if len(batch) == 1 or not _is_of_one(error):
                for entry in batch:
                    entry.error = error
        finally:
            self._finish(leader, batch)

    def _finish(self, leader: _Entry, batch: list[_Entry]) -> None:
        """Call who leads the next if one waits for this, and then everybody in it; nobody twice."""
        called = [entry for entry in batch if entry is not leader]
        with self._lock:
            if self._leader is leader:
                self._lead(self._waiting.pop(0) if self._waiting else None)
                called = [self._leader, *called] if self._leader else called
        for entry in called:
            entry.called.release()

    def _alone(self, asked: str) -> Any:
        ((_number, said),) = self._said([asked])
        return None if said is None else orjson.loads(said)

    def _said(self, asked: list[str]) -> list[tuple[int, str | None]]:
        """What is said to each, by its number from 1; SQL promises no order."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    self._several if len(asked) > 1 else self._one, [f"[{','.join(asked)}]"]
                )
                return [*cursor.fetchall()]
        finally:
            if not connection.in_atomic_block:
                connection.close()


def _is_of_one(error: Error) -> bool:
    """Whether the server refused what somebody batch asked for, a lock included; else it, or the line, was gone."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state is not None and not state.startswith("57P")
