"""After every migrate the triggers are those of credits/database/sql/5_guards.sql."""

from typing import Any

import pytest
from django.db import connection

from credits.database import functions, guards
from credits.database.functions import install

pytestmark = pytest.mark.django_db

TRIGGERS = """
SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), t.oid
  FROM pg_trigger t WHERE NOT t.tgisinternal ORDER BY 1, 2
"""
FUNCTIONS = """
SELECT proname, prosrc, proconfig FROM pg_proc
 WHERE prorettype = 'trigger'::regtype AND pronamespace = 'public'::regnamespace ORDER BY 1
"""


def rows(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def triggers() -> list[Any]:
    return [row[:-1] for row in rows(TRIGGERS)]


def test_each_trigger_of_the_file_is_there_and_fires_always() -> None:
    text = "\n".join(file.read_text() for file in functions.FILES)
    _functions, in_file = guards.split_triggers(text)
    assert sorted((guard.table, guard.name) for guard in in_file) == [
        (table, name) for table, name, *_ in triggers()
    ]
    assert len(in_file) == text.count("TRIGGER ") - text.count("TRIGGER LANGUAGE") == 17
    assert {enabled for _table, _name, enabled, _definition in triggers()} == {"A"}


def test_a_database_without_triggers_gets_them_all_again() -> None:
    before, functions_before = triggers(), rows(FUNCTIONS)
    for table, name, *_ in before:
        rows(f"DROP TRIGGER {name} ON {table}")
    for name, *_ in functions_before:
        rows(f"DROP FUNCTION {name}()")
    install()
    assert (triggers(), rows(FUNCTIONS)) == (before, functions_before)


@pytest.mark.parametrize(
    "other",
    [
        "BEFORE TRUNCATE ON credit_grants FOR EACH STATEMENT",
        "BEFORE UPDATE OF user_id ON credit_grants FOR EACH STATEMENT",
    ],
)
@pytest.mark.parametrize(
    "create", ["DROP TRIGGER credit_grants_stay ON credit_grants; CREATE", "CREATE OR REPLACE"]
)
def test_a_trigger_that_was_changed_is_as_before(create: str, other: str) -> None:
    before = triggers()
    rows(
        f"{create} TRIGGER credit_grants_stay {other}"
        " EXECUTE FUNCTION credit_transactions_append_only()"
    )
    assert triggers() != before
    install()
    assert triggers() == before


def test_a_function_that_was_emptied_is_as_before() -> None:
    before = rows(FUNCTIONS)
    rows(
        "CREATE OR REPLACE FUNCTION users_check_balance() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END'"
    )
    install()
    assert rows(FUNCTIONS) == before


def test_triggers_that_no_file_made_are_taken_over() -> None:
    """The migrations of older versions made the triggers without the comment that marks them."""
    before = triggers()
    for table, name, *_ in before:
        rows(f"COMMENT ON TRIGGER {name} ON {table} IS NULL")
    install()
    assert triggers() == before


def test_what_is_as_written_is_not_locked() -> None:
    before = rows(TRIGGERS)
    rows("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor:
        install()
        cursor.execute(
            "SELECT relation::regclass::text FROM pg_locks"
            " WHERE pid = pg_backend_pid() AND locktype = 'relation'"
            " AND mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
        )
        assert [name for (name,) in cursor.fetchall()] == ["django_migrations"]
    assert rows(TRIGGERS) == before


def test_a_guard_that_is_no_longer_in_the_file_goes_and_others_stay() -> None:
    before = triggers()
    for name in ("old_guard", "somebody_elses"):
        rows(
            f"CREATE TRIGGER {name} BEFORE TRUNCATE ON credit_packages"
            " FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only()"
        )
    rows(f"COMMENT ON TRIGGER old_guard ON credit_packages IS '{guards.MARK}of long ago'")
    install()
    assert [row[1] for row in triggers() if row not in before] == ["somebody_elses"]
