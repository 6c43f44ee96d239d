"""What the application's role may do: read the ledger and call its verbs, never write it (docs/roles.md).

The role is the one that DATABASE_APP_ROLE names. `migrate` runs as another one, which owns the tables,
and grants anew each time, so that tables of a new version are included.
"""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from accounts.models import LEDGER_FIELDS, User
from credits.models import Allocation, AuditRun, Grant, Hold, Operation, Spending, Transaction

LEDGER = tuple(
    model._meta.db_table for model in (Transaction, Hold, Grant, Allocation, Operation, Spending)
)
MIGRATED = (
    "django_migrations",
    "django_content_type",
    "auth_permission",
)  # `migrate` alone writes these
APPENDED = (AuditRun._meta.db_table, "django_admin_log")  # what was written down stays
VERBS = (
    "ledger_hold",
    "ledger_capture",
    "ledger_release",
    "ledger_sweep",
    "ledger_post",
    "ledger_refundable",
)


def before_migrate(**kwargs: Any) -> None:
    """Django's pre_migrate: refuse a role that cannot be granted anything, before anything is changed."""
    role = settings.DATABASE_APP_ROLE
    if not role:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role]
        )
        owner, is_there = cursor.fetchone()
    if not is_there:
        raise CommandError(
            f"DATABASE_APP_ROLE is {role}, and the database has no such role. Create it first: "
            f"CREATE ROLE {role} LOGIN PASSWORD '...';"
        )
    if owner == role:
        raise CommandError(
            f"{role} is the application's role: migrate as the owner of the tables (DATABASE_URL)."
        )


def grant(cursor: CursorWrapper) -> None:
    """Give the application's role, if there is one, all that the site needs, and take everything else away."""
    if not settings.DATABASE_APP_ROLE:
        return
    cursor.execute(_grants(settings.DATABASE_APP_ROLE))
    if found := _excess(cursor, settings.DATABASE_APP_ROLE):
        raise CommandError(
            f"The role {settings.DATABASE_APP_ROLE} would not be kept from the ledger: it has {', '.join(found)}. "
            "Take that away, or use another role; docs/roles.md says how."
        )


def excess() -> list[str]:
    """What the role of this connection could do to the ledger without its verbs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return _excess(cursor, cursor.fetchone()[0])


def _excess(cursor: CursorWrapper, role: str) -> list[str]:
    cursor.execute(
        _TOO_MUCH, {"role": role, "ledger": [*LEDGER, "users"], "columns": sorted(LEDGER_FIELDS)}
    )
    return [what for (what,) in cursor.fetchall()]


def _grants(role: str) -> sql.Composed:
    return sql.SQL(_GRANT).format(
        role=sql.Identifier(role),
        database=sql.Identifier(connection.settings_dict["NAME"]),
        ledger=_names(LEDGER),
        migrated=_names(MIGRATED),
        appended=_names(APPENDED),
        columns=_names(_own_columns()),
        verbs=_names(VERBS),
    )


def _names(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _own_columns() -> tuple[str, ...]:
    """Columns of users that are not the ledger's, nor the key that ledger rows point to."""
    fields = [field for field in User._meta.concrete_fields if not field.primary_key]
    return tuple(field.column for field in fields if field.name not in LEDGER_FIELDS)


# No right to a sequence: identity columns need none. No place to make an object: nothing can pass for one of ours.
_GRANT = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role};
REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC, {role};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role};
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
REVOKE INSERT, UPDATE, DELETE ON {ledger}, {migrated} FROM {role};
REVOKE UPDATE, DELETE ON {appended}, users FROM {role};
GRANT UPDATE ({columns}) ON users TO {role};
GRANT EXECUTE ON FUNCTION {verbs} TO {role};
"""
# The first of what it has all the same: by ownership, by membership, or because everybody has it.
_TOO_MUCH = """
SELECT 'SUPERUSER or CREATEROLE' FROM pg_roles WHERE rolname = %(role)s AND (rolsuper OR rolcreaterole)
 UNION ALL
SELECT 'CREATE on the schema public' WHERE has_schema_privilege(%(role)s, 'public', 'CREATE')
 UNION ALL
SELECT DISTINCT 'the rights of the owner ' || relowner::regrole FROM pg_class
 WHERE oid = ANY (%(ledger)s::regclass[]) AND pg_has_role(%(role)s, relowner, 'MEMBER')
 UNION ALL
SELECT privilege || ' on ' || name
  FROM unnest(%(ledger)s::text[]) name, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
 WHERE has_table_privilege(%(role)s, name, privilege) AND (name, privilege) <> ('users', 'INSERT')
 UNION ALL
SELECT 'UPDATE of users.' || name FROM unnest(%(columns)s::text[]) name
 WHERE has_column_privilege(%(role)s, 'users', name, 'UPDATE')
 LIMIT 3
"""
