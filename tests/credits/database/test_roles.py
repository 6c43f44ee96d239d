"""What an attacker with the application's role, by its password or an injection, can do."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from psycopg import errors

from accounts.models import LEDGER_FIELDS, User
from credits.database import roles
from credits.database.functions import install
from credits.proof import audit
from tests.concurrently import concurrently
from tests.credits.application import Application

pytestmark = pytest.mark.django_db(transaction=True)
MakeUser = Callable[..., User]


@pytest.mark.parametrize("table", roles.LEDGER)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {0} DEFAULT VALUES",
        "UPDATE {0} SET user_id = user_id",
        "DELETE FROM {0}",
        "TRUNCATE {0} CASCADE",
        "COPY {0} FROM STDIN",
        "SELECT * FROM {0} FOR UPDATE",
        "LOCK TABLE {0} IN EXCLUSIVE MODE",
        "ALTER TABLE {0} ADD COLUMN extra text",
        "ALTER TABLE {0} DISABLE TRIGGER USER",
        "DROP TABLE {0} CASCADE",
        "CREATE TRIGGER extra BEFORE INSERT ON {0}"
        " FOR EACH STATEMENT EXECUTE FUNCTION users_start_at_zero()",
        "CREATE RULE extra AS ON INSERT TO {0} DO INSTEAD NOTHING",
        "SELECT nextval('{0}_id_seq')",
        "SELECT setval('{0}_id_seq', 1)",
    ],
)
def test_a_ledger_table_is_only_read(application: Application, table: str, statement: str) -> None:
    application.execute(f"SELECT * FROM {table}")
    application.refused(statement.format(table))


@pytest.mark.parametrize("column", ["id", *sorted(LEDGER_FIELDS)])
def test_a_ledger_column_of_a_user_is_not_written(application: Application, column: str) -> None:
    application.refused(f"UPDATE users SET {column} = DEFAULT")
    application.refused(
        f"INSERT INTO users (id, email) VALUES (1, '')"
        f" ON CONFLICT (id) DO UPDATE SET {column} = DEFAULT"
    )


@pytest.mark.parametrize(
    "column", sorted(LEDGER_FIELDS - {"ledger_digest", "grants_expire_at", "allowance"})
)
def test_nobody_starts_with_credits(
    application: Application, make_user: MakeUser, column: str
) -> None:
    make_user("ann@example.com")
    names = ", ".join(
        field.column
        for field in User._meta.concrete_fields
        if field.name not in ("id", "email", column)
    )
    names = names.replace("public_id, ", "")
    statement = (
        f"INSERT INTO users (email, public_id, {column}, {names}) "
        f"SELECT 'b@example.com', 'b', 5, {names} FROM users"
    )
    application.refused(statement, errors.CheckViolation)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM users",
        "TRUNCATE users CASCADE",
        "LOCK TABLE users IN SHARE MODE",
        "DROP TRIGGER users_start_at_zero ON users",
        "ALTER TABLE users DISABLE TRIGGER users_check_balance",
        "CREATE OR REPLACE FUNCTION users_check_balance() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END'",
        "ALTER FUNCTION ledger_hold RESET ALL",
        "ALTER FUNCTION ledger_hold SECURITY INVOKER",
        "DROP FUNCTION ledger_hold",
        "CREATE FUNCTION public.extra() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pg_temp.extra() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OPERATOR public.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8mi)",
        "CREATE SCHEMA extra",
        "CREATE TABLE extra (id bigint REFERENCES users ON DELETE CASCADE)",
        "CREATE TEMPORARY TABLE users (id bigint)",
        "SET session_replication_role = replica",
        "ALTER ROLE smartspec_app CREATEROLE",
        "COPY users TO PROGRAM 'cat'",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('credits', '0099', now())",
        "UPDATE auth_permission SET codename = 'view_user'",
        "DELETE FROM django_content_type",
        "DELETE FROM django_admin_log",
        "UPDATE credit_audits SET problems = 0",
    ],
)
def test_what_guards_the_ledger_cannot_be_changed(application: Application, statement: str) -> None:
    application.refused(statement)


def test_the_application_cannot_become_the_owner(application: Application) -> None:
    owner = connection.settings_dict["USER"]
    for statement in (
        "SET ROLE {}",
        "SET SESSION AUTHORIZATION {}",
        "GRANT {} TO CURRENT_USER",
        "ALTER ROLE {} NOLOGIN",
    ):
        application.refused(statement.format(owner))


def test_only_the_verbs_can_be_called(application: Application) -> None:
    functions = "SELECT proname FROM pg_proc WHERE starts_with(proname, 'ledger_')"
    callable_ = f"{functions} AND has_function_privilege(oid, 'EXECUTE')"
    assert {name for (name,) in application.rows(callable_)} == set(roles.VERBS)
    assert len(application.rows(functions)) > len(roles.VERBS)
    application.refused("SELECT ledger_write(1, 'bonus', 1000, 'Injected')")
    application.refused("SELECT ledger_expire_grants(1)")


def test_the_tables_that_it_may_not_write_are_these(application: Application) -> None:
    tables = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    read = {
        name for (name,) in application.rows(f"{tables} AND NOT has_table_privilege(oid, 'INSERT')")
    }
    assert read == {*roles.LEDGER, *roles.MIGRATED}
    models = {model._meta.db_table for model in apps.get_app_config("credits").get_models()}
    ledger = {table for table in models if table.startswith("credit_")}
    own = {"credit_approvals", "credit_audits", "credit_packages"}
    assert ledger - read == own, "a new table of the ledger is not in roles.LEDGER"


CALLS = {
    "ledger_hold": "SELECT ledger_hold({user}, 5, 5, 'again', 60, 10)",
    "ledger_capture": "SELECT ledger_capture({user}, {hold}, 3, '', '{{}}')",
    "ledger_release": "SELECT ledger_release({user}, {hold})",
    "ledger_sweep": "SELECT ledger_sweep({user})",
    "ledger_post": "SELECT ledger_post({user}, 'adjust', NULL,"
    ' \'{{"type": "bonus", "amount": 5}}\', \'{{"description": ""}}\')',
    "ledger_refundable": "SELECT ledger_refundable({user}, {transaction})",
}
# A function that looks these names up in the session's temporary schema first runs spy() with its
# own privileges.
SPY = """
CREATE FUNCTION pg_temp.spy() RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'this runs as %', current_user; END $$;
"""
TRAP = (
    "CREATE TEMPORARY VIEW {0} AS SELECT * FROM public.{0} WHERE pg_temp.spy();"
    " GRANT ALL ON pg_temp.{0} TO PUBLIC;"
)


@pytest.mark.parametrize("verb", roles.VERBS)
def test_a_verb_is_not_led_astray_by_temporary_objects(
    application: Application, make_user: MakeUser, temporary_objects: None, verb: str
) -> None:
    """Temporary objects are allowed here. A deferred trigger looks names up at the commit, too."""
    user = make_user(credits=100)
    hold = application.rows(
        f"SELECT (r.hold).id FROM ledger_hold({user.pk}, 10, 10, 'h', 60, 10) r"
    )[0][0]
    transaction = application.rows("SELECT id FROM credit_transactions")[0][0]
    application.execute(SPY + "".join(TRAP.format(table) for table in (*roles.LEDGER, "users")))
    application.execute("SET search_path = pg_temp, public")
    application.execute(CALLS[verb].format(user=user.pk, hold=hold, transaction=transaction))
    application.connection.commit()
    assert not audit.run().findings


def test_the_trap_itself_works(
    application: Application, make_user: MakeUser, temporary_objects: None
) -> None:
    make_user()
    application.execute(SPY + TRAP.format("users"))
    application.refused("SELECT * FROM users", errors.RaiseException)


def test_each_migrate_grants_anew(application: Application) -> None:
    """A new table is included, and a privilege that was granted by hand is revoked."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (id bigint)")
        cursor.execute(f"GRANT UPDATE (credits), TRIGGER ON users TO {settings.DATABASE_APP_ROLE}")
        try:
            call_command("migrate", verbosity=0)
            application.execute("INSERT INTO notes VALUES (1)")
            application.refused("UPDATE users SET credits = 5")
        finally:
            cursor.execute("DROP TABLE notes")


def test_two_migrates_at_once_both_succeed(application: Application) -> None:
    concurrently(lambda _: call_command("migrate", verbosity=0), threads=3)
    application.rows("SELECT ledger_sweep(0)")


def test_a_missing_role_is_reported_before_anything_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "DATABASE_APP_ROLE", "nobody_of_that_name")
    with pytest.raises(CommandError, match="CREATE ROLE nobody_of_that_name LOGIN"):
        call_command("migrate", verbosity=0)


def test_the_owner_is_no_role_for_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATABASE_APP_ROLE", connection.settings_dict["USER"])
    with pytest.raises(CommandError, match="migrate as the owner"):
        call_command("migrate", verbosity=0)


@pytest.mark.parametrize(
    ("privilege", "excess"),
    [
        ("DELETE ON credit_holds", "DELETE on credit_holds"),
        ("TRIGGER ON credit_grants", "TRIGGER on credit_grants"),
        ("UPDATE ON users", "UPDATE on users"),
        ("UPDATE (allowance) ON users", "UPDATE of users.allowance"),
    ],
)
def test_a_role_that_has_too_much_all_the_same_is_refused(
    application: Application, privilege: str, excess: str
) -> None:
    """The privilege comes from PUBLIC here; our REVOKE for the role does not remove that."""
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT {privilege} TO PUBLIC")
        try:
            with pytest.raises(CommandError, match=f"it has {excess}"):
                call_command("migrate", verbosity=0)
        finally:
            cursor.execute(f"REVOKE {privilege} FROM PUBLIC")


@pytest.mark.django_db
def test_a_guard_that_was_switched_off_is_on_after_the_next_migrate() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credit_transactions DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE users DISABLE TRIGGER users_check_balance")
        install()
        cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A'")
        assert cursor.fetchall() == []
