-- Posting a transaction: lock the account, write the row and its digest. Every function that
-- changes a balance calls ledger_write.
-- Locks are taken in the order user row → hold → grants → insert → counters. Every function that
-- writes is VOLATILE, so each of its statements takes a new snapshot: a statement after the wait
-- for a lock sees what the previous owner of the lock committed.

-- Raises check_violation for an amount outside its bounds. credits/ledger.py checks this earlier;
-- the check here is for other callers of the verbs.
CREATE OR REPLACE FUNCTION ledger_check(p_amount bigint, p_least bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS NULL OR p_amount NOT BETWEEN p_least AND 1000000000 THEN
        RAISE EXCEPTION 'an amount of % credits is out of bounds', p_amount
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

-- Raises check_violation for a malformed request. The audit replays the stored requests and does
-- not check them again.
CREATE OR REPLACE FUNCTION ledger_check_request(p_verb text, p_request jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger_check(abs((p_request ->> 'amount')::bigint), 1)
      WHERE p_verb IN ('add', 'adjust');
    PERFORM ledger_check(COALESCE((p_request ->> 'amount')::bigint, 1), 1) WHERE p_verb <> 'adjust';
    IF jsonb_typeof(p_request -> 'amount') NOT IN ('number', 'null')
       OR NOT isfinite((p_request ->> 'expires_at')::timestamptz)
       OR jsonb_typeof(p_request -> 'priority') <> 'number'
       OR p_request ->> 'expires_at' !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00$'
       OR p_verb = 'add' AND p_request ->> 'type' NOT IN ('purchase', 'bonus', 'subscription')
       OR p_verb = 'add' AND p_request ->> 'type' = 'purchase'
          AND p_request ->> 'expires_at' IS NOT NULL
       OR p_verb = 'adjust' AND p_request ->> 'type' NOT IN ('adjustment', 'bonus')
       OR p_verb = 'restore' AND p_request ->> 'amount' IS NOT NULL
    THEN
        RAISE EXCEPTION '% is not asked for like this: %', p_verb, p_request
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

-- Locks the row of the account, takes away expired grants and returns the row. Returns NULL if the
-- account does not exist.
CREATE OR REPLACE FUNCTION ledger_lock(p_account bigint) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
    account users;
BEGIN
    SELECT * INTO account FROM users WHERE id = p_account FOR NO KEY UPDATE;
    IF account.grants_expire_at <= clock_timestamp() THEN
        PERFORM ledger_expire_grants(p_account);
        SELECT * INTO account FROM users WHERE id = p_account;
    END IF;
    RETURN account;
END $$;

-- Writes one transaction of a locked account, moves the balance by it and returns it.
-- `p_unhold` credits of `p_holds` holds are freed in the same statement.
-- `p_locked` is the row of the account if the caller has just read it under the lock. If another
-- operation has been done since, the UPDATE matches no row, and the trigger on the inserted
-- transaction raises an error.
-- A balance that falls below the user's threshold, or to nothing, is an alert in this transaction,
-- once: the threshold is armed again when the balance is a fifth above it, the other one when any
-- credits come.
-- The digest is the SHA-256 of the previous digest and all columns of the row as a JSON array;
-- static/credits/verify_statement.py computes the same.
CREATE OR REPLACE FUNCTION ledger_write(
    p_account bigint, p_type text, p_amount bigint, p_description text,
    p_metadata jsonb DEFAULT '{}', p_reference text DEFAULT '', p_debt bigint DEFAULT 0,
    p_actor bigint DEFAULT NULL, p_key text DEFAULT NULL, p_reverses bigint DEFAULT NULL,
    p_expired_grant bigint DEFAULT NULL, p_hold bigint DEFAULT NULL, p_unhold bigint DEFAULT 0,
    p_holds integer DEFAULT 0, p_locked users DEFAULT NULL
) RETURNS credit_transactions LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    account users := p_locked;
    posted credit_transactions;
BEGIN
    IF account.id IS NULL THEN
        SELECT * INTO account FROM users WHERE id = p_account;
    END IF;
    posted.seq := account.ledger_seq + 1;
    posted.op := account.ledger_ops + 1;
    posted.balance_after := account.credits + p_amount;
    posted.debt_after := account.credits_debt + p_debt;
    posted.digest := sha256(account.ledger_digest || convert_to(json_build_array(
        p_account, posted.seq, posted.op, p_type, p_amount, posted.balance_after, p_debt,
        posted.debt_after, p_description, p_metadata::text, p_reference, p_key,
        (extract(epoch FROM v_now) * 1000000)::bigint,
        p_actor, p_hold, p_reverses, p_expired_grant)::text, 'UTF8'));
    UPDATE users
       SET credits = posted.balance_after, credits_debt = posted.debt_after,
           credits_held = credits_held - p_unhold, open_holds = open_holds - p_holds,
           ledger_seq = posted.seq, ledger_ops = posted.op, ledger_digest = posted.digest,
           alert_armed = CASE WHEN posted.balance_after < alert_below THEN false
                              WHEN posted.balance_after * 5 >= alert_below * 6 THEN alert_below > 0
                              ELSE alert_armed END,
           used_up_armed = CASE WHEN posted.balance_after <= 0 THEN false
                                ELSE used_up_armed OR p_amount > 0 END
     WHERE id = p_account AND ledger_ops = account.ledger_ops;
    INSERT INTO credit_transactions (
        user_id, seq, op, type, amount, balance_after, debt, debt_after, description, metadata,
        reference_id, idempotency_key, created_at, actor_id, hold_id, reverses_id,
        expired_grant_id, digest
    ) VALUES (
        p_account, posted.seq, posted.op, p_type, p_amount, posted.balance_after, p_debt,
        posted.debt_after, p_description, p_metadata, p_reference, p_key, v_now, p_actor, p_hold,
        p_reverses, p_expired_grant, posted.digest
    ) RETURNING * INTO posted;
    IF account.alert_armed AND posted.balance_after < account.alert_below THEN
        PERFORM accounts_alert(p_account, 'low', jsonb_build_object(
            'balance', posted.balance_after, 'threshold', account.alert_below));
    END IF;
    IF account.used_up_armed AND posted.balance_after <= 0 AND p_amount < 0 THEN
        PERFORM accounts_alert(p_account, 'used_up', '{"balance": 0}');
    END IF;
    RETURN posted;
END $$;
