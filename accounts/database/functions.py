"""Replaces the functions in the database with those of the SQL files, after every `migrate`.

The functions of accounts/database/sql/ find the owner of a credential, count rates and write
alerts. They are functions because those of the ledger and of the gateway call them too.
"""

from collections.abc import Iterable, Set
from pathlib import Path

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.transaction import atomic

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
TABLES = frozenset(
    {
        "users",
        "api_keys",
        "oauth2_provider_accesstoken",
        "oauth2_provider_refreshtoken",
        "rate_limits",
        "account_alerts",
    }
)

# The role of the application can only read this table, so it cannot take this lock.
_ONE_AT_A_TIME = "LOCK TABLE django_migrations IN SHARE ROW EXCLUSIVE MODE"
_EACH = """
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND WHICH
    LOOP
        EXECUTE format('COMMAND', function);
    END LOOP;
END $$
"""


def install() -> None:
    """Install the functions of these files. llmproxy/database/functions.py calls this."""
    replace("accounts_", map(Path.read_text, FILES), needed=TABLES)


def replace(prefix: str, texts: Iterable[str], *, needed: Set[str]) -> None:
    """Replace the functions whose names begin with `prefix` by those of the SQL `texts`.

    Does nothing while a `needed` table is missing.
    """
    if not needed <= set(connection.introspection.table_names()):
        return
    with atomic(), connection.cursor() as cursor:
        drop_functions(cursor, prefix)
        for text in texts:
            cursor.execute(text)


def drop_functions(cursor: CursorWrapper, prefix: str) -> None:
    """Drop all functions with this prefix, after any concurrent replacement has ended.

    A function that is no longer in the files disappears, and a changed signature is no conflict.
    """
    cursor.execute(_ONE_AT_A_TIME)
    cursor.execute(write_loop(f"starts_with(proname, '{prefix}')", "DROP FUNCTION %s"))


def write_loop(which: str, command: str) -> str:
    """Return the SQL that runs `command` for every function of the schema that matches `which`."""
    return _EACH.replace("WHICH", which).replace("COMMAND", command)
