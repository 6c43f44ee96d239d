"""Leases and the diary of jobs that return, for several machines and behind a pooler.

A lease is a row, taken and renewed by one statement with the database's clock. So it does not
matter which connection a statement gets, and what a dead process held is free after a while.
"""

import os
import secrets
import socket
from datetime import datetime

from django.db import connection

from accounts.models import JobRun, Lease

_TAKE = """
INSERT INTO leases (name, holder, until)
VALUES (%(name)s, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
 WHERE leases.holder = excluded.holder OR leases.until <= clock_timestamp()
RETURNING true
"""
_GIVE_BACK = """
UPDATE leases SET until = clock_timestamp()
 WHERE name = %s AND holder = %s AND until > clock_timestamp()
"""
_NOTE = """
INSERT INTO job_runs AS run (job, finished_at, failed_at)
VALUES (%(job)s, CASE WHEN %(done)s THEN clock_timestamp() END,
        CASE WHEN NOT %(done)s THEN clock_timestamp() END)
    ON CONFLICT (job) DO UPDATE
   SET finished_at = COALESCE(excluded.finished_at, run.finished_at),
       failed_at = COALESCE(excluded.failed_at, run.failed_at)
"""


def make_holder() -> str:
    """Return a name for this process that no other process has, readable for an operator."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def take_lease(name: str, *, holder: str, seconds: float) -> bool:
    """Take or renew a lease for so long; False if another holder has it."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"name": name, "holder": holder, "seconds": seconds})
        return cursor.fetchone() is not None


def give_back_lease(name: str, *, holder: str) -> None:
    """End the lease now. Does nothing if another holder has it."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, [name, holder])


def find_holder(name: str) -> Lease | None:
    """Return who has or had the lease last; None if nobody ever had."""
    return Lease.objects.filter(name=name).first()


def note_run(job: str, *, is_done: bool) -> None:
    """Write down that a job is done, or has failed, at this moment of the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, {"job": job, "done": is_done})


def list_runs() -> dict[str, datetime | None]:
    """Return when each job was last done; None for one that has only failed."""
    return dict(JobRun.objects.values_list("job", "finished_at"))
