"""Which errors of PostgreSQL mean that the database cannot serve now, and what to do about each.

A request that meets one of them is answered 503 with Retry-After. Every other error is a bug or a
constraint. The names are those of PostgreSQL's manual, appendix A (error codes).
"""

from dataclasses import dataclass

from django.db import InterfaceError, OperationalError
from psycopg import Error as DriverError
from psycopg import InterfaceError as DriverInterfaceError
from psycopg import OperationalError as DriverOperationalError
from psycopg_pool import PoolTimeout, TooManyRequests

RETRY_AFTER_SECONDS = 5


class ServerSilent(DriverOperationalError):
    """The server has sent nothing for longer than any statement may take, though it is there.

    Its machine or its process was stopped, or a proxy keeps the connection to a server that died.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """A reason why the database cannot serve now. `name` is for the log and for /readyz.

    `repeats` means that the same statement may succeed at once, on another connection. `reads`
    means that statements that only read still work. `is_of_one` means that other statements may
    work.
    """

    name: str
    repeats: bool = False
    reads: bool = False
    is_of_one: bool = False


LOST = Fault("connection lost", repeats=True)
NO_CONNECTION = Fault("no connection")
SILENT = Fault("no answer")
READ_ONLY = Fault("read only", reads=True)
DISK_FULL = Fault("disk full", reads=True)

# By SQLSTATE, or its beginning. The longest beginning counts.
FAULTS = {
    "08": LOST,  # connection exception; PgBouncer reports all that it refuses as 08P01
    "25006": READ_ONLY,  # a standby, or default_transaction_read_only
    "25P03": Fault("idle in transaction for too long"),
    "25P04": Fault("transaction timeout"),
    "40001": Fault(
        "serialization failure", repeats=True, is_of_one=True
    ),  # or a conflict with recovery
    "40003": LOST,
    "40P01": Fault("deadlock", repeats=True, is_of_one=True),
    "53": Fault("out of resources"),
    "53100": DISK_FULL,
    "53200": Fault("out of memory"),
    "53300": Fault("too many connections"),
    "55006": Fault("object in use", is_of_one=True),
    "55P03": Fault("lock timeout", is_of_one=True),
    "57014": Fault("statement timeout"),
    "57P": Fault("server is stopping or starting", repeats=True),
    "57P05": LOST,
    "58": Fault("system error of the server"),
}
LENGTHS = (5, 3, 2)
# A table that is not logged cannot be read on a standby. PostgreSQL gives this error the code of
# all that it does not support; the name of its function is the same in every language.
NOT_SUPPORTED, STANDBY_FUNCTION = "0A000", "get_relation_info"


def find_fault(error: BaseException | None) -> Fault | None:
    """Return why the database cannot serve, if that caused this exception; None if it did not.

    Looks for an error of psycopg in the chain of causes (`raise … from`).
    """
    while error is not None:
        if isinstance(error, DriverError):
            return _classify(error)
        if error.__cause__ is None and isinstance(error, OperationalError | InterfaceError):
            return LOST
        error = error.__cause__
    return None


def _classify(error: DriverError) -> Fault | None:
    state = error.sqlstate
    if state is not None:
        found = (FAULTS.get(state[:length]) for length in LENGTHS)
        return next(filter(None, found), READ_ONLY if _is_of_standby(error) else None)
    if isinstance(error, ServerSilent):
        return SILENT
    if isinstance(error, PoolTimeout | TooManyRequests):
        return NO_CONNECTION
    return LOST if isinstance(error, DriverOperationalError | DriverInterfaceError) else None


def _is_of_standby(error: DriverError) -> bool:
    return error.sqlstate == NOT_SUPPORTED and error.diag.source_function == STANDBY_FUNCTION
