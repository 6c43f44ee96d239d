"""What several requests ask of PostgreSQL at the same moment goes there together: one round trip, one commit for all.

While one flight is away, whoever comes waits for the next; who comes alone flies at once. All aboard commit or none
does, and none of them is told before the commit (docs/decisions/0018).
"""

import threading
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
from django.db import Error, connection

MOST_SEATS = 16
PATIENCE_SECONDS = 0.05  # then a flight is stuck behind somebody's lock, and nobody waits for it any more
LOCK_TIMEOUT = "100ms"  # of a flight of several: then everybody goes alone, and waits for their own row only
ALONE_BYTES = 64 * 1024  # what is so large has a round trip of its own


def _taken() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Seat:
    asked: str
    user: int  # whose row is locked: in the same order by everybody, or two flights could wait for each other
    called: Any  # a lock, released when the answer is there, or it is this seat's turn to lead
    said: str | None = None
    error: Error | None = None


class Flights:
    """The calls of one function of the database, which takes and gives JSON."""

    def __init__(self, function: LiteralString) -> None:
        calls = "jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS calls(asked, number)"
        self._one = f"SELECT number, {function}(asked)::text FROM {calls}"  # noqa: S608
        self._several = f"{self._one}, set_config('lock_timeout', '{LOCK_TIMEOUT}', true)"
        self._lock = threading.Lock()
        self._waiting: list[_Seat] = []
        self._leader: _Seat | None = None  # of the flight that is waited for

    def ask(self, asked: str, *, user: int) -> Any:
        """What the function says to this JSON, committed. Raises what a statement of its own would raise."""
        if connection.in_atomic_block or len(asked) > ALONE_BYTES:
            return self._alone(asked)
        seat = _Seat(asked, user, _taken())
        if self._leads(seat):
            self._fly(seat)
        if seat.error is not None:
            raise type(seat.error)(*seat.error.args) from seat.error.__cause__
        return self._alone(asked) if seat.said is None else orjson.loads(seat.said)

    def _leads(self, seat: _Seat) -> bool:
        """Whether this one has to fly; if not, it has been flown."""
        with self._lock:
            if self._leader is None:
                self._leader = seat
                return True
            self._waiting.append(seat)
        try:
            if not seat.called.acquire(timeout=PATIENCE_SECONDS) and not self._overtakes(seat):
                seat.called.acquire()
        except BaseException:  # whoever is ended while they wait does not keep a flight waiting
            self._leave(seat)
            raise
        return self._leader is seat

    def _overtakes(self, seat: _Seat) -> bool:
        with self._lock:
            if seat in self._waiting:
                self._waiting.remove(seat)
                self._leader = seat
            return self._leader is seat

    def _leave(self, seat: _Seat) -> None:
        with self._lock:
            if seat in self._waiting:
                self._waiting.remove(seat)
        self._land(seat, [])

    def _fly(self, leader: _Seat) -> None:
        with self._lock:
            aboard = [leader, *self._waiting[: MOST_SEATS - 1]]
            del self._waiting[: MOST_SEATS - 1]
        aboard.sort(key=lambda seat: seat.user)
        try:
            for number, said in self._said([seat.asked for seat in aboard]):
                aboard[number - 1].said = said
        except Error as error:
            if len(aboard) == 1 or not _is_of_one(error):
                for seat in aboard:
                    seat.error = error
        finally:
            self._land(leader, aboard)

    def _land(self, leader: _Seat, aboard: list[_Seat]) -> None:
        """Call everybody aboard, and who leads the next flight if one waits for this; nobody twice."""
        called = [seat for seat in aboard if seat is not leader]
        with self._lock:
            if self._leader is leader:
                self._leader = self._waiting.pop(0) if self._waiting else None
                called += [self._leader] if self._leader else []
        for seat in called:
            seat.called.release()

    def _alone(self, asked: str) -> Any:
        ((_number, said),) = self._said([asked])
        return None if said is None else orjson.loads(said)

    def _said(self, asked: list[str]) -> list[tuple[int, str | None]]:
        """What is said to each, by its number from 1; SQL promises no order."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(self._several if len(asked) > 1 else self._one, [f"[{','.join(asked)}]"])
                return [*cursor.fetchall()]
        finally:
            if not connection.in_atomic_block:
                connection.close()


def _is_of_one(error: Error) -> bool:
    """Whether the server refused what somebody aboard asked for, a lock included; else it, or the line, was gone."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state is not None and not state.startswith("57P")
