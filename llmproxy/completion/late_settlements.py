"""Settles the completions that wait in the spool, once the database answers again.

What is kept is the very argument of `gateway_settle`. The unique id of a completion makes a second
settlement of it impossible, so that a record may come again: after the end of a process, from two
processes at once, and although the first try was committed.
"""

import logging
import threading
import time

from django.db import DataError, Error, IntegrityError, connection
from psycopg.errors import UniqueViolation

from accounts.database.faults import find_fault
from llmproxy import lenient_json
from llmproxy.database.contract import WITHOUT_TEXTS
from llmproxy.spool import folder
from llmproxy.spool.files import Record

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 15.0  # Seconds between two looks while something waits.
# A record whose hold is not that of its completion is from before a restore, or of another
# database: it must not capture a hold that has got the same number since.
_SETTLE = """
SELECT gateway_settle(request)::text FROM (SELECT %s::jsonb AS request) kept
 WHERE request ->> 'hold_id' IS NULL
    OR EXISTS (SELECT FROM credit_holds
                WHERE user_id = (request ->> 'user_id')::bigint
                  AND id = (request ->> 'hold_id')::bigint
                  AND reference_id = request ->> 'generation_id')
"""


class DatabaseAway(Exception):
    """The database settles nothing now, whichever record is tried."""


def settle_all() -> tuple[int, int]:
    """Settle what waits in the spool of this machine; return how many, and how many wait still.

    A record that the database refuses does not stop the others. Raises DatabaseAway, and OSError if
    the spool cannot be read.
    """
    settled = 0

    def settle(record: Record) -> bool:
        nonlocal settled
        is_done = _settle_record(record)
        settled += is_done
        return is_done

    try:
        left = folder.process_records(settle)
    finally:
        if not connection.in_atomic_block:
            connection.close()
    return settled, left


def _settle_record(record: Record) -> bool:
    generation_id = _read_generation_id(record)
    try:
        is_known = _ask(record.text)
    except Error as error:
        fault = find_fault(error)
        if fault and not fault.is_of_one:
            raise DatabaseAway from error
        logger.critical("completion %s cannot be settled", generation_id, exc_info=True)
        return False
    if is_known:
        logger.warning("completion %s was settled late", generation_id)
    else:
        logger.critical(
            "completion %s cannot be settled: this database does not have its hold", generation_id
        )
    return is_known


def _read_generation_id(record: Record) -> str:
    return str(lenient_json.decode(record.text)["generation_id"])


def _ask(request: str) -> bool:
    """Settle, or find that this was done before. False if the database lacks the hold."""
    try:
        return _ask_once(request)
    except DataError:  # PostgreSQL cannot store one of the provider's texts
        without = {**lenient_json.decode(request), **WITHOUT_TEXTS}
        return _ask_once(lenient_json.encode(without).decode())


def _ask_once(request: str) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [request])
            return cursor.fetchone() is not None
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            return True
        raise


class Drainer:
    """Settles what this process has kept, in the background, and only while something waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_running = False

    def wake(self) -> None:
        """Begin to look, unless it looks already."""
        with self._lock:
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="spool", daemon=True).start()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            time.sleep(pause)
            settled, left = _settle_quietly()
            with self._lock:
                if not left and not folder.has_own():
                    self._is_running = False
                    return
            pause = FIRST_PAUSE if settled else min(pause * 2, LONGEST_PAUSE)


def _settle_quietly() -> tuple[int, int]:
    """Settle what can be settled now; 1 for what is left if nobody knows how much it is."""
    try:
        return settle_all()
    except DatabaseAway as error:
        logger.warning("the spool waits for the database: %r", error.__cause__)
    except Exception:
        logger.exception("the spool cannot be settled")
    return 0, 1


def watch() -> None:
    """Settle in this process what it keeps, and what processes before it have left."""
    drainer = Drainer()
    folder.on_keep.append(drainer.wake)
    if folder.has_records():
        drainer.wake()
