"""Installs the triggers of credits/database/sql/5_guards.sql after every `migrate`.

Replacing a trigger takes an exclusive lock on its table, so unchanged triggers are left alone. To
recognise them, the comment of each trigger has a digest of the statement in the file and of the
definition that PostgreSQL made of it.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import sql

MARK = "guard of the ledger, "
_TRIGGER = re.compile(
    r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+)\s[^;]*?\sON (\w+)\s[^;]*;", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger in the SQL file."""

    name: str
    table: str
    statement: str

    def comment(self, definition: str) -> str:
        """Return the comment that marks the trigger made by this statement.

        `definition` is the result of pg_get_triggerdef.
        """
        return MARK + hashlib.sha256(f"{self.statement}\n{definition}".encode()).hexdigest()


class Trigger(NamedTuple):
    """A trigger in the database."""

    comment: str
    definition: str


Present = dict[tuple[str, str], Trigger]  # by table and name of the trigger


def split_triggers(text: str) -> tuple[str, list[Guard]]:
    """Split the SQL into the functions, which are replaced each time, and the triggers."""
    triggers = [Guard(match[1], match[2], match[0]) for match in _TRIGGER.finditer(text)]
    return _TRIGGER.sub("", text), triggers


def replace_triggers(cursor: CursorWrapper, guards: list[Guard]) -> None:
    """Make the triggers of the database those of the file, and set all to ENABLE ALWAYS.

    Tables that do not exist, after a `migrate` to an older state, need no trigger. Missing and
    changed triggers are created. Triggers that an earlier version of the file made and that are no
    longer in it are dropped; triggers of other origin stay.
    """
    tables = set(connection.introspection.table_names(cursor))
    guards = [guard for guard in guards if guard.table in tables]
    present = _read_triggers(cursor)
    written = {(guard.table, guard.name) for guard in guards}
    dropped = [key for key in present.keys() - written if present[key].comment.startswith(MARK)]
    changed = [guard for guard in guards if not _is_as_written(guard, present)]
    _lock_tables(cursor, {table for table, _name in dropped} | {guard.table for guard in changed})
    for table, name in dropped:
        cursor.execute(_format_statement("DROP TRIGGER {name} ON {table}", table, name))
    for guard in changed:
        cursor.execute(
            _format_statement("DROP TRIGGER IF EXISTS {name} ON {table}", guard.table, guard.name)
        )
        cursor.execute(guard.statement)
    made = _read_triggers(cursor) if changed else {}
    for guard in changed:
        comment = guard.comment(made[guard.table, guard.name].definition)
        cursor.execute(
            _format_statement(
                f"COMMENT ON TRIGGER {{name}} ON {{table}} IS '{comment}'", guard.table, guard.name
            )
        )
    cursor.execute(_ENABLE)


def _lock_tables(cursor: CursorWrapper, tables: set[str]) -> None:
    """Lock the tables in the order of the verbs, which lock the user's row first.

    In another order a replacement would deadlock with calls of the ledger.
    """
    if tables:
        ordered = ["users", *sorted(tables - {"users"})]
        names = sql.SQL(", ").join(map(sql.Identifier, ordered))
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))


def _is_as_written(guard: Guard, present: Present) -> bool:
    trigger = present.get((guard.table, guard.name))
    return trigger is not None and trigger.comment == guard.comment(trigger.definition)


def _format_statement(statement: str, table: str, name: str) -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(table), name=sql.Identifier(name))


def _read_triggers(cursor: CursorWrapper) -> Present:
    cursor.execute(_TRIGGERS)
    return {
        (table, name): Trigger(comment, definition)
        for table, name, comment, definition in cursor.fetchall()
    }


_TRIGGERS = """
SELECT c.relname, t.tgname, COALESCE(obj_description(t.oid, 'pg_trigger'), ''),
       pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
"""
# A new trigger does not fire in a session with session_replication_role = replica until it is set
# to ENABLE ALWAYS. An administrator may also have disabled one to load rows.
_ENABLE = """
DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger
                  WHERE NOT tgisinternal AND tgenabled <> 'A'
                    AND (tgrelid::regclass::text IN ('users', 'payment_events', 'documents',
                                                     'document_counters', 'django_admin_log',
                                                     'operator_settings')
                         OR starts_with(tgrelid::regclass::text, 'credit_'))
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.name, guard.tgname);
    END LOOP;
END $$
"""
