"""The verbs of the ledger and its guards live in the database (credits/database/sql/): put there after every `migrate`.

They are functions, because then one round trip locks, reads what is true after the lock, and writes,
and because the application's role can be allowed to call them and nothing else (docs/decisions/0007).
"""

from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.transaction import atomic

from credits.database import guards, roles

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))


def after_migrate(**kwargs: Any) -> None:
    """Django's post_migrate: the functions as these files have them, and who may call them.

    Nothing after a `migrate` to a state from before the ledger had all of its tables.
    """
    if not set(roles.LEDGER) <= set(connection.introspection.table_names()):
        return
    with atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME)
        cursor.execute(_drop("ledger_"))
        functions, triggers = guards.split_triggers("\n".join(file.read_text() for file in FILES))
        cursor.execute(functions)
        cursor.execute(_NOT_FOR_EVERYBODY)
        cursor.execute(_PIN_TRIGGERS)
        guards.replace_triggers(cursor, triggers)
        roles.grant(cursor)


def replace(prefix: str, files: Iterable[Path], *, needed: Set[str]) -> None:
    """Make the functions that begin with `prefix` those of these files; nothing where a `needed` table is missing."""
    if not needed <= set(connection.introspection.table_names()):
        return
    with atomic(), connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME)
        cursor.execute(_drop(prefix))
        for file in files:
            cursor.execute(file.read_text())


# A lock that the application's role cannot take: it only reads this table.
_ONE_AT_A_TIME = "LOCK TABLE django_migrations IN SHARE ROW EXCLUSIVE MODE"
_EACH = """
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND WHICH
    LOOP
        EXECUTE format('COMMAND', function);
    END LOOP;
END $$
"""
_VERBS = _EACH.replace("WHICH", "starts_with(proname, 'ledger_')")


def _drop(prefix: str) -> str:
    """The files are the whole truth: what is no longer in them goes, and a changed signature is no conflict."""
    return _EACH.replace("WHICH", f"starts_with(proname, '{prefix}')").replace(
        "COMMAND", "DROP FUNCTION %s"
    )


_NOT_FOR_EVERYBODY = _VERBS.replace("COMMAND", "REVOKE ALL ON FUNCTION %s FROM PUBLIC")
# A deferred trigger runs at commit, from PostgreSQL 18 on as the owner, but with the names that the session looks up.
_PIN_TRIGGERS = _EACH.replace(
    "WHICH", "prorettype = 'trigger'::regtype AND proowner = current_user::regrole"
).replace("COMMAND", "ALTER FUNCTION %s SET search_path = public, pg_temp")
