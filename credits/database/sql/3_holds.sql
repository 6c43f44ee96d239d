-- Credits set aside for a completion: hold, then capture, release or expiry.

-- What a device or key holds and has spent of the month (UTC) that `p_now` is in; the account is locked.
CREATE OR REPLACE FUNCTION ledger_counted(p_account bigint, p_credential text, p_now timestamptz)
RETURNS credit_spending LANGUAGE plpgsql AS $$
DECLARE
    counted credit_spending;
    v_month date := date_trunc('month', p_now AT TIME ZONE 'UTC')::date;
BEGIN
    SELECT * INTO counted FROM credit_spending
     WHERE user_id = p_account AND credential = p_credential AND month = v_month;
    counted.month := v_month;
    counted.held := COALESCE(counted.held, 0);
    counted.spent := COALESCE(counted.spent, 0);
    RETURN counted;
END $$;

-- Counts what a hold of a device or key sets aside, frees and spends, in the month in which it was opened, whenever that is.
CREATE OR REPLACE FUNCTION ledger_count(h credit_holds, p_held bigint, p_spent bigint DEFAULT 0) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_month date := date_trunc('month', h.created_at AT TIME ZONE 'UTC')::date;
BEGIN
    IF h.credential = '' THEN
        RETURN;
    END IF;
    UPDATE credit_spending SET held = held + p_held, spent = spent + p_spent
     WHERE user_id = h.user_id AND credential = h.credential AND month = v_month;
    IF NOT FOUND THEN
        INSERT INTO credit_spending (user_id, credential, month, held, spent)
        VALUES (h.user_id, h.credential, v_month, p_held, p_spent);
    END IF;
END $$;

-- Sets aside `p_amount`, or what is available if that is `p_at_least` so much. The same reference again: the same hold.
-- `p_budget` is what `p_credential` may spend in a month: the account is asked for no more than that leaves.
CREATE OR REPLACE FUNCTION ledger_hold(
    p_account bigint, p_amount bigint, p_at_least bigint, p_reference text, p_seconds integer, p_max_open integer,
    p_credential text DEFAULT '', p_budget bigint DEFAULT NULL,
    OUT hold credit_holds, OUT refusal text, OUT available bigint, OUT open_holds integer, OUT counted credit_spending
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account users;
    v_now timestamptz := clock_timestamp();
    v_requested bigint;
BEGIN
    PERFORM ledger_check(p_at_least, 0), ledger_check(p_amount, p_at_least);
    account := ledger_lock(p_account);
    IF account.id IS NULL OR NOT account.is_active THEN
        refusal := 'unknown_account';
        RETURN;
    END IF;
    -- Holds of a worker that died count as spent until they expire; here nobody waits for the sweeper.
    IF p_budget IS NOT NULL THEN
        counted := ledger_counted(p_account, p_credential, v_now);
    END IF;
    v_requested := GREATEST(LEAST(p_amount, p_budget - counted.held - counted.spent), 0); -- LEAST leaves NULLs out
    IF LEAST(v_requested, account.credits - account.credits_held) < p_amount OR account.open_holds >= p_max_open THEN
        IF ledger_end_due_holds(p_account) > 0 THEN
            account := ledger_lock(p_account);
            counted := ledger_counted(p_account, p_credential, v_now);
            v_requested := GREATEST(LEAST(p_amount, p_budget - counted.held - counted.spent), 0);
        END IF;
    END IF;
    available := account.credits - account.credits_held;
    open_holds := account.open_holds;
    refusal := CASE WHEN LEAST(p_amount, available) < p_at_least THEN 'insufficient_credits'
                    WHEN v_requested < p_at_least THEN 'budget_used_up'
                    WHEN open_holds >= p_max_open THEN 'too_many_holds' END;
    IF refusal IS NULL THEN
        INSERT INTO credit_holds (user_id, credential, wanted, requested, at_least, amount, state, reference_id, opened_op,
                                  created_at, expires_at)
        VALUES (p_account, p_credential, NULLIF(p_amount, v_requested), v_requested, p_at_least,
                LEAST(v_requested, available), 'open', p_reference, account.ledger_ops + 1,
                v_now, v_now + make_interval(secs => p_seconds))
            ON CONFLICT (user_id, reference_id) DO NOTHING
        RETURNING * INTO hold;
    END IF;
    IF hold.id IS NULL THEN
        SELECT * INTO hold FROM credit_holds WHERE user_id = p_account AND reference_id = p_reference;
        IF hold.id IS NOT NULL THEN
            refusal := CASE WHEN (COALESCE(hold.wanted, hold.requested), hold.at_least, hold.credential)
                                 <> (p_amount, p_at_least, p_credential) THEN 'idempotency_conflict' END;
        END IF;
        RETURN;
    END IF;
    UPDATE users u SET credits_held = u.credits_held + hold.amount, open_holds = u.open_holds + 1,
                       ledger_ops = u.ledger_ops + 1
     WHERE u.id = p_account;
    PERFORM ledger_count(hold, hold.amount);
    IF account.grants_expire_at IS NOT NULL THEN
        hold.pins := ledger_pin(p_account, hold.amount);
        UPDATE credit_holds h SET pins = hold.pins
         WHERE h.user_id = p_account AND h.id = hold.id AND hold.pins IS NOT NULL;
    END IF;
END $$;

-- Charges the real cost: from the hold, then from what is available, never below zero. The same again: the same answer.
CREATE OR REPLACE FUNCTION ledger_capture(
    p_account bigint, p_hold bigint, p_cost bigint, p_description text, p_metadata jsonb,
    OUT charged bigint, OUT uncollected bigint, OUT balance_after bigint, OUT available bigint, OUT seq bigint,
    OUT refusal text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account users;
    h credit_holds;
    posted credit_transactions;
    v_open boolean;
    v_held bigint;
    v_op bigint;
    v_now timestamptz;
BEGIN
    PERFORM ledger_check(p_cost, 0);
    account := ledger_lock(p_account);
    SELECT * INTO h FROM credit_holds WHERE user_id = p_account AND id = p_hold;
    v_open := h.state = 'open';
    v_held := CASE WHEN v_open THEN h.amount ELSE 0 END;
    available := account.credits - account.credits_held;
    IF h.captured IS NULL AND h.state IN ('open', 'expired') THEN
        charged := LEAST(p_cost, available + v_held);
        IF charged > 0 THEN
            posted := ledger_write(
                p_account, 'usage', -charged, p_description, p_metadata, h.reference_id,
                p_hold => h.id, p_unhold => v_held, p_holds => v_open::int, p_locked => account);
            PERFORM ledger_burn(posted, CASE WHEN v_open THEN h.pins END);
            PERFORM ledger_count(h, -v_held, charged);
            v_op := posted.op;
        ELSE
            v_op := ledger_free(h);
        END IF;
        v_now := clock_timestamp();
        UPDATE credit_holds
           SET captured = charged, cost = p_cost, captured_op = v_op,
               state = CASE WHEN v_open THEN 'captured' ELSE state END,
               ended_op = CASE WHEN v_open THEN v_op ELSE ended_op END,
               ended_at = COALESCE(ended_at, v_now)
         WHERE user_id = p_account AND id = p_hold;
        available := available + v_held - charged;
    ELSIF h.cost IS DISTINCT FROM p_cost THEN
        refusal := 'hold_ended';
        RETURN;
    ELSE
        charged := h.captured;
        SELECT * INTO posted FROM credit_transactions t
         WHERE t.user_id = p_account AND t.hold_id = p_hold AND t.type = 'usage';
    END IF;
    uncollected := p_cost - charged;
    balance_after := COALESCE(posted.balance_after, account.credits);
    seq := posted.seq;
END $$;

-- Gives the credits of an open hold back to a locked account and numbers that; an expired one has none.
CREATE OR REPLACE FUNCTION ledger_free(h credit_holds) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_op bigint;
BEGIN
    IF h.state = 'open' AND h.pins IS NOT NULL THEN
        PERFORM ledger_unpin(h.user_id, h.pins);
    END IF;
    IF h.state = 'open' THEN
        PERFORM ledger_count(h, -h.amount);
    END IF;
    UPDATE users SET credits_held = credits_held - CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END,
                     open_holds = open_holds - (h.state = 'open')::int, ledger_ops = ledger_ops + 1
     WHERE id = h.user_id
    RETURNING ledger_ops INTO v_op;
    RETURN v_op;
END $$;

-- Ends an open hold uncharged. One that has ended stays as it is: false.
CREATE OR REPLACE FUNCTION ledger_end_hold(p_account bigint, p_hold bigint, p_state text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    h credit_holds;
    v_now timestamptz := clock_timestamp();
    v_op bigint;
BEGIN
    UPDATE credit_holds SET state = p_state, ended_at = v_now
     WHERE user_id = p_account AND id = p_hold AND state = 'open'
    RETURNING * INTO h;
    IF h.id IS NULL THEN
        RETURN false;
    END IF;
    h.state := 'open';
    v_op := ledger_free(h);
    UPDATE credit_holds SET ended_op = v_op WHERE user_id = p_account AND id = p_hold;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION ledger_release(p_account bigint, p_hold bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM users WHERE id = p_account FOR NO KEY UPDATE;
    RETURN ledger_end_hold(p_account, p_hold, 'released');
END $$;

-- Ends the holds of a locked account that are past their expiry; how many.
CREATE OR REPLACE FUNCTION ledger_end_due_holds(p_account bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_ended integer := 0;
    v_hold bigint;
BEGIN
    FOR v_hold IN SELECT id FROM credit_holds
                   WHERE user_id = p_account AND state = 'open' AND expires_at <= clock_timestamp() ORDER BY id
    LOOP
        v_ended := v_ended + ledger_end_hold(p_account, v_hold, 'expired')::int;
    END LOOP;
    RETURN v_ended;
END $$;

-- Ends what is due of one user, holds and grants, unless somebody else is at that account just now. How many holds.
CREATE OR REPLACE FUNCTION ledger_sweep(p_account bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_ended integer;
BEGIN
    PERFORM 1 FROM users WHERE id = p_account FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_ended := ledger_end_due_holds(p_account);
    PERFORM ledger_lock(p_account);
    RETURN v_ended;
END $$;
