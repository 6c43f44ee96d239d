"""The privileges of the application's role: it may read the ledger and call its verbs.

It cannot write the tables of the ledger (docs/roles.md). The setting DATABASE_APP_ROLE names the
role. `migrate` runs as another role, the owner of the tables, and grants all privileges again each
time, so that the tables of a new version are included.
"""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from accounts.models import LEDGER_FIELDS, OperatorSettings, User
from credits.models import Allocation, AuditRun, Grant, Hold, Operation, Spending, Transaction

LEDGER = tuple(
    model._meta.db_table for model in (Transaction, Hold, Grant, Allocation, Operation, Spending)
)
# Only `migrate` writes these tables.
MIGRATED = ("django_migrations", "django_content_type", "auth_permission")
# Rows of these tables can be inserted, but not changed or deleted.
APPENDED = (AuditRun._meta.db_table, OperatorSettings._meta.db_table, "django_admin_log")
VERBS = (
    "ledger_hold",
    "ledger_capture",
    "ledger_release",
    "ledger_sweep",
    "ledger_post",
    "ledger_refundable",
)


def before_migrate(**kwargs: Any) -> None:
    """Raise CommandError for a missing or wrong role, before anything is changed.

    A receiver of Django's pre_migrate.
    """
    role = settings.DATABASE_APP_ROLE
    if not role:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role]
        )
        owner, exists = cursor.fetchone()
    if not exists:
        raise CommandError(
            f"DATABASE_APP_ROLE is {role}, and the database has no such role. Create it first: "
            f"CREATE ROLE {role} LOGIN PASSWORD '...';"
        )
    if owner == role:
        raise CommandError(
            f"{role} is the application's role: migrate as the owner of the tables (DATABASE_URL)."
        )


def grant_privileges(cursor: CursorWrapper) -> None:
    """Give the application's role, if there is one, the privileges of the site and no others.

    Raises CommandError if the role keeps a privilege that would let it change the ledger.
    """
    if not settings.DATABASE_APP_ROLE:
        return
    cursor.execute(_make_grants(settings.DATABASE_APP_ROLE))
    if excess := _find_excess(cursor, settings.DATABASE_APP_ROLE):
        raise CommandError(
            f"The role {settings.DATABASE_APP_ROLE} would not be kept from the ledger: "
            f"it has {', '.join(excess)}. "
            "Take that away, or use another role; docs/roles.md says how."
        )


def find_excess() -> list[str]:
    """Return up to 3 privileges with which the role of this connection could change the ledger."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return _find_excess(cursor, cursor.fetchone()[0])


def _find_excess(cursor: CursorWrapper, role: str) -> list[str]:
    cursor.execute(
        _EXCESS, {"role": role, "ledger": [*LEDGER, "users"], "columns": sorted(LEDGER_FIELDS)}
    )
    return [privilege for (privilege,) in cursor.fetchall()]


def _make_grants(role: str) -> sql.Composed:
    return sql.SQL(_GRANT).format(
        role=sql.Identifier(role),
        database=sql.Identifier(connection.settings_dict["NAME"]),
        ledger=_join_names(LEDGER),
        migrated=_join_names(MIGRATED),
        appended=_join_names(APPENDED),
        columns=_join_names(_list_own_columns()),
        verbs=_join_names(VERBS),
    )


def _join_names(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _list_own_columns() -> tuple[str, ...]:
    """Return the columns of `users` that are neither the ledger's nor the primary key."""
    fields = [field for field in User._meta.concrete_fields if not field.primary_key]
    return tuple(field.column for field in fields if field.name not in LEDGER_FIELDS)


# There is no right to a sequence, because identity columns need none. There is no right to create
# objects, because an object of the same name could take the place of one of ours.
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
# Finds privileges that the role has in another way: by ownership, by membership or from PUBLIC.
_EXCESS = """
SELECT 'SUPERUSER or CREATEROLE' FROM pg_roles
 WHERE rolname = %(role)s AND (rolsuper OR rolcreaterole)
 UNION ALL
SELECT 'CREATE on the schema public' WHERE has_schema_privilege(%(role)s, 'public', 'CREATE')
 UNION ALL
SELECT DISTINCT 'the rights of the owner ' || relowner::regrole FROM pg_class
 WHERE oid = ANY (%(ledger)s::regclass[]) AND pg_has_role(%(role)s, relowner, 'MEMBER')
 UNION ALL
SELECT privilege || ' on ' || name
  FROM unnest(%(ledger)s::text[]) name,
       unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
 WHERE has_table_privilege(%(role)s, name, privilege) AND (name, privilege) <> ('users', 'INSERT')
 UNION ALL
SELECT 'UPDATE of users.' || name FROM unnest(%(columns)s::text[]) name
 WHERE has_column_privilege(%(role)s, 'users', name, 'UPDATE')
 LIMIT 3
"""
