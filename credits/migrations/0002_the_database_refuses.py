"""What the database itself refuses, whoever asks: changed history, and a balance its rows do not say."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION credit_transactions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'credit_transactions is append-only: % refused. Correct a mistake with a new row.', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER credit_transactions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
ALTER TABLE credit_transactions ENABLE ALWAYS TRIGGER credit_transactions_append_only;
"""

# Deferred, because a verb writes the user and the transaction in one statement and in either order.
BALANCE = """
CREATE FUNCTION users_balance_is_what_the_rows_say(account bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    posted users%ROWTYPE;
    last credit_transactions%ROWTYPE;
BEGIN
    SELECT * INTO posted FROM users WHERE id = account;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO last FROM credit_transactions WHERE user_id = account ORDER BY seq DESC LIMIT 1;
    IF posted.credits <> COALESCE(last.balance_after, 0) OR posted.ledger_seq <> COALESCE(last.seq, 0) THEN
        RAISE EXCEPTION 'user %: balance % at transaction % is not what the ledger says: % at %', account,
            posted.credits, posted.ledger_seq, COALESCE(last.balance_after, 0), COALESCE(last.seq, 0)
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

CREATE FUNCTION users_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM users_balance_is_what_the_rows_say(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION credit_transactions_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM users_balance_is_what_the_rows_say(NEW.user_id);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER users_check_new_balance
    AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.credits <> 0 OR NEW.ledger_seq <> 0) EXECUTE FUNCTION users_check_balance();
CREATE CONSTRAINT TRIGGER users_check_balance
    AFTER UPDATE OF credits, ledger_seq ON users DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.credits <> OLD.credits OR NEW.ledger_seq <> OLD.ledger_seq)
    EXECUTE FUNCTION users_check_balance();
CREATE CONSTRAINT TRIGGER credit_transactions_check_balance
    AFTER INSERT ON credit_transactions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION credit_transactions_check_balance();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_check_new_balance;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_check_balance;
ALTER TABLE credit_transactions ENABLE ALWAYS TRIGGER credit_transactions_check_balance;

-- Hot rows: leave room on the page, so that an update stays on it and touches no index.
ALTER TABLE users SET (fillfactor = 50);
ALTER TABLE credit_holds SET (fillfactor = 70);
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0001_initial"), ("accounts", "0001_initial")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, "DROP FUNCTION credit_transactions_append_only CASCADE"),
        migrations.RunSQL(
            BALANCE,
            "DROP FUNCTION users_check_balance, credit_transactions_check_balance,"
            " users_balance_is_what_the_rows_say CASCADE",
        ),
    ]
