-- Triggers that apply to every role, the owner of the tables included: they reject a change of
-- recorded rows, and a balance that differs from the last transaction.
-- credits/database/guards.py installs them after every migrate, each with ENABLE ALWAYS.

CREATE OR REPLACE FUNCTION credit_transactions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused. Correct a mistake with a new row.',
        TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER credit_transactions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_allocations_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_allocations
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_operations_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_operations
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();

-- The terms of a hold and of a grant cannot be changed; their state can. The key columns of a
-- counter cannot be changed either.
CREATE TRIGGER credit_holds_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, credential, wanted, requested, at_least, amount,
        reference_id, opened_op, created_at
    ON credit_holds FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_grants_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, transaction_id, source, amount, priority,
        is_paid, created_at
    ON credit_grants FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_spending_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, credential, month
    ON credit_spending FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();

-- An event stays as Stripe sent it, and a document as it was issued. What became of an event can
-- change, its payload is reduced once after that, and a document is cancelled once.
CREATE TRIGGER payment_events_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF stripe_id, type, livemode, object_id, received_at
    ON payment_events FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER payment_events_are_reduced_once
    BEFORE UPDATE OF payload, reduced_at ON payment_events FOR EACH ROW
    WHEN (OLD.reduced_at IS NOT NULL OR NEW.reduced_at IS NULL OR OLD.state = 'waiting'
          OR length(NEW.payload) > length(OLD.payload)
          OR NEW.payload::jsonb ->> 'id' IS DISTINCT FROM OLD.stripe_id)
    EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER documents_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF public_id, kind, year, serial, number, user_id,
        purchase_id, reversal_id, corrects_id, facts, issued_at
    ON documents FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER documents_stay_cancelled
    BEFORE UPDATE ON documents FOR EACH ROW
    WHEN (OLD.cancelled_at IS NOT NULL
          AND (NEW.cancelled_at, NEW.cancelled_because)
              IS DISTINCT FROM (OLD.cancelled_at, OLD.cancelled_because))
    EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER document_counters_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF kind, year
    ON document_counters FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();

-- What administrators did stays as it was written down: nobody removes their own traces. A row
-- level trigger leaves statements alone that match no row, such as those with which Django deletes
-- an object that nobody has acted on.
CREATE TRIGGER django_admin_log_append_only
    BEFORE UPDATE OR DELETE ON django_admin_log
    FOR EACH ROW EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER django_admin_log_stays
    BEFORE TRUNCATE ON django_admin_log
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER operator_settings_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_settings
    FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();

-- The next two triggers together ensure that the balance, debt and digest of a user are those of
-- the user's last transaction. The first one checks each new transaction against the row of the
-- user.
CREATE OR REPLACE FUNCTION credit_transactions_check_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users
      WHERE id = NEW.user_id AND credits = NEW.balance_after AND credits_debt = NEW.debt_after
        AND ledger_seq = NEW.seq AND ledger_digest = NEW.digest;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'user %: transaction % leaves %, which is not what the ledger says',
            NEW.user_id, NEW.seq, NEW.balance_after USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER credit_transactions_check_balance
    AFTER INSERT ON credit_transactions
    FOR EACH ROW EXECUTE FUNCTION credit_transactions_check_balance();

-- The second one checks a changed user against the last transaction. It is deferred to the commit,
-- because a verb updates the user before it inserts the transaction. It reads the user again,
-- because NEW can be an intermediate state of several updates.
CREATE OR REPLACE FUNCTION users_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users u
      LEFT JOIN credit_transactions t ON t.user_id = u.id AND t.seq = u.ledger_seq
     WHERE u.id = NEW.id
       AND (u.credits, u.credits_debt, u.ledger_digest)
           IS DISTINCT FROM
           (COALESCE(t.balance_after, 0), COALESCE(t.debt_after, 0), COALESCE(t.digest, ''))
        OR u.id = NEW.id AND u.ledger_seq > 0 AND t.id IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'user %: balance % at transaction % is not what the ledger says',
            NEW.id, NEW.credits, NEW.ledger_seq USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER users_check_balance
    AFTER UPDATE OF credits, credits_debt, ledger_seq, ledger_digest ON users
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (
        (NEW.credits, NEW.credits_debt, NEW.ledger_seq, NEW.ledger_digest)
        IS DISTINCT FROM (OLD.credits, OLD.credits_debt, OLD.ledger_seq, OLD.ledger_digest))
    EXECUTE FUNCTION users_check_balance();

-- Rejects a new user that does not start with zeros.
CREATE OR REPLACE FUNCTION users_start_at_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a new user starts with nothing; credits come by a verb of the ledger'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER users_start_at_zero
    BEFORE INSERT ON users FOR EACH ROW
    WHEN ((NEW.credits, NEW.credits_held, NEW.credits_debt, NEW.open_holds, NEW.ledger_seq,
           NEW.ledger_ops) <> (0, 0, 0, 0, 0, 0)
          OR NEW.ledger_digest <> '' OR NEW.grants_expire_at IS NOT NULL)
    EXECUTE FUNCTION users_start_at_zero();
