"""The triggers of credits/database/sql/5_guards.sql: put in place after every `migrate`.

Replacing a trigger locks its table against everybody, so a trigger that is as the file has it is left alone. A digest
of the text that made it, and of what PostgreSQL made of that, is kept as the trigger's comment.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper
from psycopg import sql

MARK = "guard of the ledger, "
_TRIGGER = re.compile(
    r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+)\s[^;]*?\sON (\w+)\s[^;]*;", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Guard:
    """One trigger, as the file has it."""

    name: str
    table: str
    statement: str

    def comment(self, definition: str) -> str:
        """What marks the trigger that this statement made; `definition` is PostgreSQL's (pg_get_triggerdef)."""
        return MARK + hashlib.sha256(f"{self.statement}\n{definition}".encode()).hexdigest()


class Trigger(NamedTuple):
    """One that the database has."""

    comment: str
    definition: str


Present = dict[tuple[str, str], Trigger]  # by table and name


def split_triggers(text: str) -> tuple[str, list[Guard]]:
    """The file's functions, which are replaced each time, and its triggers apart from them."""
    triggers = [Guard(found[1], found[2], found[0]) for found in _TRIGGER.finditer(text)]
    return _TRIGGER.sub("", text), triggers


def replace_triggers(cursor: CursorWrapper, guards: list[Guard]) -> None:
    """Make what is missing or was another one, drop what is no longer in the file, and switch all on for good."""
    present = _present(cursor)
    for table, name in present.keys() - {(guard.table, guard.name) for guard in guards}:
        if present[table, name].comment.startswith(MARK):
            cursor.execute(_named("DROP TRIGGER {name} ON {table}", table, name))
    changed = [guard for guard in guards if not _is_as_written(guard, present)]
    for guard in changed:
        cursor.execute(_named("DROP TRIGGER IF EXISTS {name} ON {table}", guard.table, guard.name))
        cursor.execute(guard.statement)
    made = _present(cursor) if changed else {}
    for guard in changed:
        comment = guard.comment(made[guard.table, guard.name].definition)
        cursor.execute(
            _named(
                f"COMMENT ON TRIGGER {{name}} ON {{table}} IS '{comment}'", guard.table, guard.name
            )
        )
    cursor.execute(_ENABLE)


def _is_as_written(guard: Guard, present: Present) -> bool:
    trigger = present.get((guard.table, guard.name))
    return trigger is not None and trigger.comment == guard.comment(trigger.definition)


def _named(statement: str, table: str, name: str) -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(table), name=sql.Identifier(name))


def _present(cursor: CursorWrapper) -> Present:
    cursor.execute(_TRIGGERS)
    return {
        (table, name): Trigger(comment, definition)
        for table, name, comment, definition in cursor.fetchall()
    }


_TRIGGERS = """
SELECT c.relname, t.tgname, COALESCE(obj_description(t.oid, 'pg_trigger'), ''), pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
"""
# A new trigger does not fire in a replica session yet; and somebody may have switched one off to load rows.
_ENABLE = """
DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger
                  WHERE NOT tgisinternal AND tgenabled <> 'A' AND starts_with(tgrelid::regclass::text, 'credit_')
                     OR NOT tgisinternal AND tgenabled <> 'A' AND tgrelid = 'users'::regclass
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', guard.name, guard.tgname);
    END LOOP;
END $$
"""
