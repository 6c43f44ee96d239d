"""The verbs of the ledger live in the database (credits/sql/): put there after every `migrate`.

They are functions, because then one round trip locks, reads what is true after the lock, and writes,
and because the application's role can be allowed to call them and nothing else (docs/decisions/0007).
"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.transaction import atomic
from psycopg import sql

from accounts.models import LEDGER_FIELDS, User
from credits.models import Allocation, Grant, Hold, Operation, Transaction

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
TABLES = tuple(model._meta.db_table for model in (Transaction, Hold, Grant, Allocation, Operation))
VERBS = ("ledger_hold", "ledger_capture", "ledger_release", "ledger_sweep", "ledger_post", "ledger_refundable")


def after_migrate(**kwargs: Any) -> None:
    """Django's post_migrate: the functions as these files have them, and who may call them."""
    with atomic(), connection.cursor() as cursor:
        cursor.execute(_DROP)
        for file in FILES:
            cursor.execute(file.read_text())
        cursor.execute(_NOT_FOR_EVERYBODY)
        if settings.DATABASE_APP_ROLE:
            cursor.execute(_privileges(settings.DATABASE_APP_ROLE))


_EACH = """
DO $$
DECLARE
    verb regprocedure;
BEGIN
    FOR verb IN SELECT oid FROM pg_proc
                 WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'ledger_')
    LOOP
        EXECUTE format('COMMAND', verb);
    END LOOP;
END $$
"""
# The files are the whole truth: what is no longer in them goes, and a changed signature is no conflict.
_DROP = _EACH.replace("COMMAND", "DROP FUNCTION %s")
_NOT_FOR_EVERYBODY = _EACH.replace("COMMAND", "REVOKE ALL ON FUNCTION %s FROM PUBLIC")


def _privileges(role: str) -> sql.Composed:
    """All that the site needs and no more: the ledger's rows are read, and change by the verbs alone."""
    names = {
        "role": sql.Identifier(role),
        "ledger": sql.SQL(", ").join(map(sql.Identifier, TABLES)),
        "columns": sql.SQL(", ").join(map(sql.Identifier, _own_columns())),
        "verbs": sql.SQL(", ").join(map(sql.Identifier, VERBS)),
    }
    return sql.SQL(_GRANT).format(**names)


def _own_columns() -> list[str]:
    """Columns of users that are not the ledger's."""
    return [field.column for field in User._meta.concrete_fields if field.name not in LEDGER_FIELDS]


_GRANT = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
GRANT USAGE ON SCHEMA public TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
REVOKE INSERT, UPDATE, DELETE ON {ledger}, django_migrations FROM {role};
REVOKE UPDATE, DELETE ON users FROM {role};
GRANT UPDATE ({columns}) ON users TO {role};
GRANT EXECUTE ON FUNCTION {verbs} TO {role};
"""
