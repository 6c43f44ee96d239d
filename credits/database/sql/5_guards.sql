-- What the database itself refuses, whoever asks: changed history, and a balance that the rows do not say.
-- credits/database/guards.py puts these triggers in place after every migrate, each ENABLE ALWAYS.

CREATE OR REPLACE FUNCTION credit_transactions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused. Correct a mistake with a new row.', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
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

-- What a hold or a grant was made as stays; only its state moves on. A counter counts the same thing for good.
CREATE TRIGGER credit_holds_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, credential, wanted, requested, at_least, amount, reference_id,
        opened_op, created_at
    ON credit_holds FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_grants_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, transaction_id, source, amount, priority, is_paid, created_at
    ON credit_grants FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();
CREATE TRIGGER credit_spending_stay
    BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id, credential, month
    ON credit_spending FOR EACH STATEMENT EXECUTE FUNCTION credit_transactions_append_only();

-- Together these two say: a user's balance is what the last row left, and the last row is the user's last one.
CREATE OR REPLACE FUNCTION credit_transactions_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users
      WHERE id = NEW.user_id AND credits = NEW.balance_after AND credits_debt = NEW.debt_after
        AND ledger_seq = NEW.seq AND ledger_digest = NEW.digest;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'user %: transaction % leaves %, which is not what the ledger says', NEW.user_id, NEW.seq,
            NEW.balance_after USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER credit_transactions_check_balance
    AFTER INSERT ON credit_transactions FOR EACH ROW EXECUTE FUNCTION credit_transactions_check_balance();

-- Deferred, because the row is written after the user; it looks at the user as committed, not at one of several updates.
CREATE OR REPLACE FUNCTION users_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users u
      LEFT JOIN credit_transactions t ON t.user_id = u.id AND t.seq = u.ledger_seq
     WHERE u.id = NEW.id
       AND (u.credits, u.credits_debt, u.ledger_digest)
           IS DISTINCT FROM (COALESCE(t.balance_after, 0), COALESCE(t.debt_after, 0), COALESCE(t.digest, ''))
        OR u.id = NEW.id AND u.ledger_seq > 0 AND t.id IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'user %: balance % at transaction % is not what the ledger says', NEW.id, NEW.credits,
            NEW.ledger_seq USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER users_check_balance
    AFTER UPDATE OF credits, credits_debt, ledger_seq, ledger_digest ON users DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ((NEW.credits, NEW.credits_debt, NEW.ledger_seq, NEW.ledger_digest)
                       IS DISTINCT FROM (OLD.credits, OLD.credits_debt, OLD.ledger_seq, OLD.ledger_digest))
    EXECUTE FUNCTION users_check_balance();

-- A new user starts at zero, whoever inserts it.
CREATE OR REPLACE FUNCTION users_start_at_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a new user starts with nothing; credits come by a verb of the ledger'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER users_start_at_zero
    BEFORE INSERT ON users FOR EACH ROW
    WHEN ((NEW.credits, NEW.credits_held, NEW.credits_debt, NEW.open_holds, NEW.ledger_seq, NEW.ledger_ops)
          <> (0, 0, 0, 0, 0, 0) OR NEW.ledger_digest <> '' OR NEW.grants_expire_at IS NOT NULL)
    EXECUTE FUNCTION users_start_at_zero();
