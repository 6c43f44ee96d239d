"""Replaces the functions in the database by those of the SQL files, after every `migrate`.

The functions of accounts/database/sql/ find the owner of a credential and count rates. They are
functions because the statement that admits a completion (llmproxy/database/sql/) calls them too.
"""

from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

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
    }
)

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


def after_migrate(**kwargs: Any) -> None:
    """Django's post_migrate: the functions as these files have them."""
    replace("accounts_", map(Path.read_text, FILES), needed=TABLES)


def replace(prefix: str, texts: Iterable[str], *, needed: Set[str]) -> None:
    """Make the functions that begin with `prefix` those of this SQL; nothing where a `needed` table is missing."""
    if not needed <= set(connection.introspection.table_names()):
        return
    with atomic(), connection.cursor() as cursor:
        begin(cursor, prefix)
        for text in texts:
            cursor.execute(text)


def begin(cursor: CursorWrapper, prefix: str) -> None:
    """Wait for whoever replaces functions too, and drop all with this prefix.

    The files are the whole truth: what is no longer in them goes, and a changed signature is no conflict.
    """
    cursor.execute(_ONE_AT_A_TIME)
    cursor.execute(each(f"starts_with(proname, '{prefix}')", "DROP FUNCTION %s"))


def each(which: str, command: str) -> str:
    """The statement that does `command` to every function of the schema that the condition finds."""
    return _EACH.replace("WHICH", which).replace("COMMAND", command)
