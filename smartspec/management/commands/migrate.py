import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import DeadlockDetected, LockNotAvailable

LOCK_SECONDS = 2  # a statement that waits for a table stops all that come after it for so long
TRIES = 30
PAUSE_SECONDS = 1
REPEATABLE = (LockNotAvailable, DeadlockDetected)


class Command(migrate.Command):
    """Django's migrate without the limits of requests, and patient with the running site.

    A statement may take as long as it needs: an index over a large table takes minutes. It waits
    two seconds for a lock, and the migration is tried again then, so that no request waits longer.
    A migration that is not atomic waits without a limit: an index that is built concurrently waits
    for older transactions, holds nobody up, and would be left half built.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, up to TRIES times. Raises OperationalError if a lock was never free."""
        self.alias: str = options["database"]
        for left in range(TRIES - 1, -1, -1):
            try:
                self._set_limits(lock_seconds=LOCK_SECONDS)
                super().handle(*args, **options)
            except OperationalError as error:
                if not left or not self._may_repeat(error):
                    raise
                self.stderr.write(f"A table is in use; trying again in {PAUSE_SECONDS} s.")
                time.sleep(PAUSE_SECONDS)
            else:
                self._reset_limits()
                return

    def migration_progress_callback(
        self,
        action: str,
        migration: Any = None,
        fake: Any = False,  # noqa: FBT002 – Django's signature
    ) -> None:
        """Also set the limit of locks for the migration that begins."""
        if action == "apply_start":
            self._set_limits(lock_seconds=LOCK_SECONDS if migration.atomic else 0)
        super().migration_progress_callback(action, migration, fake)

    def _set_limits(self, *, lock_seconds: int) -> None:
        self._execute(f"SET statement_timeout = 0; SET lock_timeout = '{lock_seconds}s'")

    def _reset_limits(self) -> None:
        """Go back to the limits of the connection, which other commands of the process use."""
        self._execute("RESET statement_timeout; RESET lock_timeout")

    def _execute(self, statements: str) -> None:
        connection = connections[self.alias]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(statements)

    def _may_repeat(self, error: OperationalError) -> bool:
        is_inside = connections[self.alias].in_atomic_block
        return isinstance(error.__cause__, REPEATABLE) and not is_inside
