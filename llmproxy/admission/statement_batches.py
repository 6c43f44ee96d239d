"""Batches calls of a database function: simultaneous calls share a round trip and a commit.

While a batch runs, new calls wait for the next one. A call that finds no batch running starts at
once. A batch commits as a whole or not at all, and no caller gets its result before the commit
(docs/decisions/0018).
"""

import threading
import time
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
from django.db import Error, connection

from accounts.database.faults import find_fault

MAX_BATCH, SMALL_BATCH = 16, 4  # calls
# A batch that runs longer is assumed to wait for a row lock. The next call no longer waits for it.
PATIENCE_SECONDS = 0.05
# The lock timeout of a batch of several calls. After it each call runs alone, and waits only for
# the lock of its own row.
LOCK_TIMEOUT = "100ms"
ALONE_BYTES = 64 * 1024  # an argument larger than this has its own round trip


def _make_locked() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Entry:
    argument: str
    # The id of the user whose row the call locks. A batch locks rows in this order, or two batches
    # could wait for each other.
    user: int
    turn: Any  # a lock that is released when the result is there, or when this entry has to lead
    result: str | None = None
    error: Error | None = None


class Batches:
    """The calls of one database function, which takes one JSON argument and returns JSON."""

    def __init__(self, function: LiteralString) -> None:
        calls = "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS calls(argument, number)"
        self._one = f"SELECT number, {function}(argument)::text FROM {calls}"  # noqa: S608
        self._several = f"{self._one}, set_config('lock_timeout', '{LOCK_TIMEOUT}', true)"
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._leader: _Entry | None = None  # of the batch that the waiting entries wait for
        self._since = 0.0

    def ask(self, argument: str, *, user: int) -> Any:
        """Call the function with this JSON text; return its result after the commit.

        `user` is the id of the user whose row the call locks. Raises the database error of this
        call, as if it had run alone.
        """
        if connection.in_atomic_block or len(argument) > ALONE_BYTES:
            return self._run_alone(argument)
        entry = _Entry(argument, user, _make_locked())
        if self._leads(entry):
            self._run(entry)
        if entry.error is not None:
            raise type(entry.error)(*entry.error.args) from entry.error.__cause__
        return self._run_alone(argument) if entry.result is None else orjson.loads(entry.result)

    def _leads(self, entry: _Entry) -> bool:
        """Wait for a turn. True if this entry has to run a batch; False if it was part of one."""
        with self._lock:
            if self._leader is None:
                self._lead(entry)
                return True
            batches_before = 1 + len(self._waiting) // MAX_BATCH
            patience = PATIENCE_SECONDS * batches_before
            self._waiting.append(entry)
        try:
            while not entry.turn.acquire(timeout=patience) and not self._overtakes(entry):
                pass
        except BaseException:  # a request that is ended while it waits must not block a batch
            self._leave(entry)
            raise
        return self._leader is entry

    def _lead(self, entry: _Entry | None) -> None:
        self._leader, self._since = entry, time.monotonic()

    def _overtakes(self, entry: _Entry) -> bool:
        """Lead now if the running batch is stuck, but not for a long queue. True if it leads."""
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

    def _take_waiting(self) -> list[_Entry]:
        """Take the entries that run in this batch: all if they are few, else half of them.

        The worker then writes the responses of one half while PostgreSQL runs the other half.
        """
        with self._lock:
            most = min(max((len(self._waiting) + 1) // 2, SMALL_BATCH - 1), MAX_BATCH - 1)
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken

    def _run(self, leader: _Entry) -> None:
        batch = sorted([leader, *self._take_waiting()], key=lambda entry: entry.user)
        try:
            for number, result in self._execute([entry.argument for entry in batch]):
                batch[number - 1].result = result
        except Error as error:
            if len(batch) == 1 or not _is_rejection(error):
                for entry in batch:
                    entry.error = error
        finally:
            self._finish(leader, batch)

    def _finish(self, leader: _Entry, batch: list[_Entry]) -> None:
        """Wake the leader of the next batch, then the entries of this batch; nobody twice."""
        woken = [entry for entry in batch if entry is not leader]
        with self._lock:
            if self._leader is leader:
                self._lead(self._waiting.pop(0) if self._waiting else None)
                woken = [self._leader, *woken] if self._leader else woken
        for entry in woken:
            entry.turn.release()

    def _run_alone(self, argument: str) -> Any:
        ((_number, result),) = self._execute([argument])
        return None if result is None else orjson.loads(result)

    def _execute(self, arguments: list[str]) -> list[tuple[int, str | None]]:
        """Return each result with the number of its argument, from 1; SQL guarantees no order."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    self._several if len(arguments) > 1 else self._one, [f"[{','.join(arguments)}]"]
                )
                return [*cursor.fetchall()]
        finally:
            if not connection.in_atomic_block:
                connection.close()


def _is_rejection(error: Error) -> bool:
    """True if each call should run alone: one of them was rejected, or could not get a lock.

    False if the database cannot serve any of them, such as a lost connection or a full disk.
    """
    fault = find_fault(error)
    return fault is None or fault.is_of_one
