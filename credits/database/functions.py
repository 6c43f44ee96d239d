"""The verbs of the ledger and its guards live in the database (credits/database/sql/): put there after every `migrate`.

They are functions, because then one round trip locks, reads what is true after the lock, and writes,
and because the application's role can be allowed to call them and nothing else (docs/decisions/0007).
"""

from pathlib import Path
from typing import Any

from django.db import connection
from django.db.transaction import atomic

from accounts.database.functions import drop_functions, write_loop
from credits.database import guards, roles

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))


def after_migrate(**kwargs: Any) -> None:
    """Django's post_migrate: the functions as these files have them, and who may call them.

    Nothing after a `migrate` to a state from before the ledger had all of its tables.
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
        roles.grant(cursor)


_NOT_FOR_EVERYBODY = write_loop(
    "starts_with(proname, 'ledger_')", "REVOKE ALL ON FUNCTION %s FROM PUBLIC"
)
# A deferred trigger runs at commit, from PostgreSQL 18 on as the owner, but with the names that the session looks up.
_PIN_TRIGGERS = write_loop(
    "prorettype = 'trigger'::regtype AND proowner = current_user::regrole",
    "ALTER FUNCTION %s SET search_path = public, pg_temp",
)
