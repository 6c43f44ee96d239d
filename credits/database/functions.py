"""Installs the SQL functions and triggers of credits/database/sql/ after every `migrate`.

The verbs of the ledger are functions of the database for two reasons: one round trip takes the
lock, reads the rows as they are after the lock, and writes; and the application's role can be
allowed to call the verbs and nothing else (docs/decisions/0007).
"""

from pathlib import Path

from django.db import connection
from django.db.transaction import atomic

from accounts.database.functions import drop_functions, write_loop
from credits.database import guards, roles

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))


def install() -> None:
    """Replace the functions and triggers, and grant the privileges.

    llmproxy/database/functions.py calls this.

    Does nothing if the tables of the ledger are not complete, after a `migrate` to an older state.
    """
    if not set(roles.LEDGER) <= set(connection.introspection.table_names()):
        return
    with atomic(), connection.cursor() as cursor:
        drop_functions(cursor, "ledger_")
        functions, triggers = guards.split_triggers("\n".join(file.read_text() for file in FILES))
        cursor.execute(functions)
        cursor.execute(_NOT_FOR_EVERYBODY)
        cursor.execute(_PIN_TRIGGERS)
        guards.replace_triggers(cursor, triggers)
        roles.grant_privileges(cursor)


_NOT_FOR_EVERYBODY = write_loop(
    "starts_with(proname, 'ledger_')", "REVOKE ALL ON FUNCTION %s FROM PUBLIC"
)
# A deferred trigger runs at the commit, from PostgreSQL 18 on as the owner of the table. Without
# this it would look up names with the search_path of the session, which the caller controls.
_PIN_TRIGGERS = write_loop(
    "prorettype = 'trigger'::regtype AND proowner = current_user::regrole",
    "ALTER FUNCTION %s SET search_path = public, pg_temp",
)
