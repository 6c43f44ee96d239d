-- Credits that come and go by a request with a key: the same request again has the same outcome, and one effect.

-- Does `p_verb` once per key. Gives the row, or why it was refused; a refusal is kept for the key as well.
-- `p_request` is all that decides the outcome; `p_note` (description, metadata) may be worded otherwise when it is repeated.
CREATE OR REPLACE FUNCTION ledger_post(
    p_account bigint, p_verb text, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account users := ledger_lock(p_account);
    stored credit_operations;
    outcome record;
    v_op bigint;
BEGIN
    PERFORM ledger_check_request(p_verb, p_request);
    IF account.id IS NULL THEN
        refusal := '{"code": "unknown_account"}';
        RETURN;
    END IF;
    -- Also when it was granted before: so that nobody asks again every minute.
    UPDATE users SET allowance = p_request ->> 'allowance' WHERE id = p_account AND p_request ? 'allowance';
    SELECT * INTO stored FROM credit_operations
     WHERE user_id = p_account AND verb = p_verb AND idempotency_key = p_key;
    IF stored.id IS NOT NULL THEN
        transaction_id := CASE WHEN stored.request = p_request THEN stored.transaction_id END;
        refusal := CASE WHEN stored.request = p_request THEN stored.refusal ELSE '{"code": "idempotency_conflict"}' END;
        RETURN;
    END IF;
    CASE p_verb
        WHEN 'add' THEN outcome := ledger_add(account, p_key, p_request, p_note);
        WHEN 'adjust' THEN outcome := ledger_adjust(account, p_key, p_request, p_note);
        WHEN 'refund' THEN outcome := ledger_refund(account, p_key, p_request, p_note);
        WHEN 'claw_back' THEN outcome := ledger_claw_back(account, p_key, p_request, p_note);
        WHEN 'restore' THEN outcome := ledger_restore(account, p_key, p_request, p_note);
    END CASE;
    transaction_id := outcome.transaction_id;
    refusal := outcome.refusal;
    IF p_key IS NOT NULL THEN
        SELECT ledger_ops INTO v_op FROM users WHERE id = p_account;
        INSERT INTO credit_operations
            (user_id, verb, idempotency_key, request, transaction_id, refusal, op, created_at)
        VALUES (p_account, p_verb, p_key, p_request, transaction_id, refusal, v_op, clock_timestamp());
    END IF;
END $$;

-- A purchase, bonus or subscription. A purchase pays the debt of a lost dispute first, by a row of its own; a payment
-- (the reference) buys once, whatever key it comes with.
CREATE OR REPLACE FUNCTION ledger_add(
    account users, p_key text, p_request jsonb, p_note jsonb, OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_type text := p_request ->> 'type';
    v_is_paid boolean := v_type = 'purchase';
    posted credit_transactions;
    v_grant bigint;
    v_pays bigint := CASE WHEN v_is_paid THEN LEAST(account.credits_debt, (p_request ->> 'amount')::bigint) ELSE 0 END;
BEGIN
    IF v_is_paid AND EXISTS (SELECT FROM credit_transactions WHERE type = 'purchase' AND reference_id <> ''
                                AND reference_id = p_request ->> 'reference_id') THEN
        refusal := '{"code": "payment_used"}';
        RETURN;
    END IF;
    posted := ledger_write(
        account.id, v_type, (p_request ->> 'amount')::bigint, p_note ->> 'description', p_note -> 'metadata',
        p_request ->> 'reference_id', p_key => p_key);
    v_grant := ledger_grant(posted, posted.amount, v_type, v_is_paid, (p_request ->> 'priority')::integer,
                            (p_request ->> 'expires_at')::timestamptz);
    IF v_pays > 0 THEN
        PERFORM ledger_burn(
            ledger_write(account.id, 'adjustment', -v_pays, 'Debt of a disputed payment paid',
                         p_reference => p_request ->> 'reference_id', p_debt => -v_pays), NULL, v_grant);
    END IF;
    transaction_id := posted.id;
END $$;

-- A correction by hand, up or down. Held credits cannot be taken.
CREATE OR REPLACE FUNCTION ledger_adjust(
    account users, p_key text, p_request jsonb, p_note jsonb, OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_amount bigint := (p_request ->> 'amount')::bigint;
    posted credit_transactions;
BEGIN
    IF account.credits - account.credits_held + v_amount < 0 THEN
        refusal := ledger_short(account, -v_amount);
        RETURN;
    END IF;
    posted := ledger_write(account.id, p_request ->> 'type', v_amount, p_note ->> 'description', p_key => p_key,
                           p_actor => (p_request ->> 'actor')::bigint);
    IF v_amount > 0 THEN
        PERFORM ledger_grant(posted, v_amount, posted.type, false, p_expires_at => (p_request ->> 'expires_at')::timestamptz);
    ELSE
        PERFORM ledger_burn(posted, NULL);
    END IF;
    transaction_id := posted.id;
END $$;

CREATE OR REPLACE FUNCTION ledger_short(account users, p_required bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('code', 'insufficient_credits', 'required', p_required,
                              'available', account.credits - account.credits_held)
$$;

-- How much of a row has not been reversed. A reversal that was itself reversed does not count.
CREATE OR REPLACE FUNCTION ledger_refundable(p_account bigint, p_transaction bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT abs(t.amount - t.debt) - COALESCE((
        SELECT sum(abs(r.amount - r.debt) - COALESCE((
                   SELECT sum(abs(s.amount - s.debt)) FROM credit_transactions s
                    WHERE s.user_id = p_account AND s.reverses_id = r.id), 0))
          FROM credit_transactions r WHERE r.user_id = p_account AND r.reverses_id = t.id), 0)::bigint
      FROM credit_transactions t WHERE t.user_id = p_account AND t.id = p_transaction
$$;

-- The row to reverse, and how much of it: all that is left unless `amount` says less.
CREATE OR REPLACE FUNCTION ledger_reversible(
    account users, p_request jsonb, OUT original credit_transactions, OUT left_over bigint, OUT amount bigint,
    OUT refusal jsonb
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO original FROM credit_transactions
     WHERE user_id = account.id AND id = (p_request ->> 'transaction')::bigint;
    left_over := ledger_refundable(account.id, original.id);
    amount := COALESCE((p_request ->> 'amount')::bigint, left_over);
    IF original.id IS NULL THEN
        refusal := '{"code": "not_refundable"}';
    ELSIF left_over <= 0 THEN
        refusal := '{"code": "already_refunded"}';
    ELSIF amount > left_over THEN
        refusal := jsonb_build_object('code', 'more_than_left', 'left', left_over);
    END IF;
END $$;

-- The grant that a purchase brought.
CREATE OR REPLACE FUNCTION ledger_grant_of(p_account bigint, p_transaction bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT id FROM credit_grants WHERE user_id = p_account AND transaction_id = p_transaction
$$;

-- Takes a usage back, to the grants it burned, or a purchase, from the balance.
CREATE OR REPLACE FUNCTION ledger_refund(
    account users, p_key text, p_request jsonb, p_note jsonb, OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    asked record := ledger_reversible(account, p_request);
    original credit_transactions := asked.original;
    v_sign integer;
    posted credit_transactions;
    v_rest bigint;
BEGIN
    refusal := asked.refusal;
    IF original.type IS NOT NULL AND original.type NOT IN ('usage', 'purchase') THEN
        refusal := '{"code": "not_refundable"}';
    ELSIF refusal IS NULL AND original.type = 'purchase' AND account.credits - account.credits_held < asked.amount THEN
        refusal := ledger_short(account, asked.amount);
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    v_sign := CASE original.type WHEN 'usage' THEN 1 ELSE -1 END;
    posted := ledger_write(
        account.id, 'refund', v_sign * asked.amount, p_note ->> 'description', p_reference => original.reference_id,
        p_key => p_key, p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id);
    IF original.type = 'usage' THEN
        v_rest := ledger_unwind(posted, original.id, -original.amount - asked.left_over, asked.amount);
        PERFORM ledger_grant(posted, v_rest, 'refund', true) WHERE v_rest > 0;
    ELSE
        PERFORM ledger_burn(posted, NULL, ledger_grant_of(account.id, original.id));
    END IF;
    transaction_id := posted.id;
END $$;

-- A purchase whose payment was disputed: takes what is there and books the rest as debt.
CREATE OR REPLACE FUNCTION ledger_claw_back(
    account users, p_key text, p_request jsonb, p_note jsonb, OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    asked record := ledger_reversible(account, p_request);
    original credit_transactions := asked.original;
    v_taken bigint := LEAST(asked.amount, account.credits - account.credits_held);
    posted credit_transactions;
BEGIN
    refusal := CASE WHEN original.type <> 'purchase' THEN '{"code": "not_refundable"}'::jsonb ELSE asked.refusal END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    posted := ledger_write(
        account.id, 'refund', -v_taken, p_note ->> 'description', p_reference => original.reference_id, p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id, p_debt => asked.amount - v_taken);
    IF v_taken > 0 THEN
        PERFORM ledger_burn(posted, NULL, ledger_grant_of(account.id, original.id));
    END IF;
    transaction_id := posted.id;
END $$;

-- A dispute that was won: the reversal of a purchase is reversed. What is still owed goes first, the rest comes back.
CREATE OR REPLACE FUNCTION ledger_restore(
    account users, p_key text, p_request jsonb, p_note jsonb, OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    asked record := ledger_reversible(account, p_request);
    original credit_transactions := asked.original;
    v_forgiven bigint := LEAST(account.credits_debt, asked.amount);
    v_back bigint := asked.amount - v_forgiven;
    v_rest bigint;
    posted credit_transactions;
BEGIN
    refusal := asked.refusal;
    IF original.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM credit_transactions t
         WHERE t.user_id = account.id AND t.id = original.reverses_id AND t.type = 'purchase') THEN
        refusal := '{"code": "not_refundable"}';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    posted := ledger_write(
        account.id, 'refund', v_back, p_note ->> 'description', p_reference => original.reference_id, p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id, p_debt => -v_forgiven);
    v_rest := ledger_unwind(posted, original.id, 0, LEAST(v_back, -original.amount));
    v_rest := v_rest + v_back - LEAST(v_back, -original.amount);
    PERFORM ledger_grant(posted, v_rest, 'refund', true) WHERE v_rest > 0;
    transaction_id := posted.id;
END $$;
