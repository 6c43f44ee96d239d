-- Holds: credits that are set aside for a completion. A hold is captured, released or expires.

-- Returns what a device or API key holds and has spent in the month (UTC) of `p_now`. The account
-- has to be locked. The row has zeros if nothing was counted yet.
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

-- Adds `p_held` and `p_spent` credits (negative to subtract) to the counter of the device or key
-- of a hold. The month (UTC) is always the one in which the hold was opened. A hold without a
-- credential is not counted.
CREATE OR REPLACE FUNCTION ledger_count(h credit_holds, p_held bigint, p_spent bigint DEFAULT 0)
RETURNS void LANGUAGE plpgsql AS $$
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

-- Sets `p_amount` credits aside for `p_seconds`, or all available credits if they are at least
-- `p_at_least`. The same reference again returns the same hold. With a `p_budget`, the most that
-- `p_credential` may hold and spend in a month, the hold is at most the rest of the budget.
-- `refusal` is NULL, or one of unknown_account, insufficient_credits, budget_used_up,
-- too_many_holds and idempotency_conflict. `counted` is set if there is a budget.
CREATE OR REPLACE FUNCTION ledger_hold(
    p_account bigint, p_amount bigint, p_at_least bigint, p_reference text, p_seconds integer,
    p_max_open integer, p_credential text DEFAULT '', p_budget bigint DEFAULT NULL,
    OUT hold credit_holds, OUT refusal text, OUT available bigint, OUT open_holds integer,
    OUT counted credit_spending
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
    IF p_budget IS NOT NULL THEN
        counted := ledger_counted(p_account, p_credential, v_now);
    END IF;
    -- Without a budget the second argument is NULL, which LEAST ignores.
    v_requested := GREATEST(LEAST(p_amount, p_budget - counted.held - counted.spent), 0);
    -- The holds of a worker that died stay open until they expire. They are ended here, so that
    -- this user does not have to wait for the sweeper.
    IF LEAST(v_requested, account.credits - account.credits_held) < p_amount
       OR account.open_holds >= p_max_open THEN
        IF ledger_end_due_holds(p_account) > 0 THEN
            account := ledger_lock(p_account);
            counted := ledger_counted(p_account, p_credential, v_now);
            v_requested :=
                GREATEST(LEAST(p_amount, p_budget - counted.held - counted.spent), 0);
        END IF;
    END IF;
    available := account.credits - account.credits_held;
    open_holds := account.open_holds;
    refusal := CASE WHEN LEAST(p_amount, available) < p_at_least THEN 'insufficient_credits'
                    WHEN v_requested < p_at_least THEN 'budget_used_up'
                    WHEN open_holds >= p_max_open THEN 'too_many_holds' END;
    IF refusal IS NULL THEN
        INSERT INTO credit_holds (user_id, credential, wanted, requested, at_least, amount, state,
                                  reference_id, opened_op, created_at, expires_at)
        VALUES (p_account, p_credential, NULLIF(p_amount, v_requested), v_requested, p_at_least,
                LEAST(v_requested, available), 'open', p_reference, account.ledger_ops + 1,
                v_now, v_now + make_interval(secs => p_seconds))
            ON CONFLICT (user_id, reference_id) DO NOTHING
        RETURNING * INTO hold;
    END IF;
    IF hold.id IS NULL THEN
        SELECT * INTO hold
          FROM credit_holds WHERE user_id = p_account AND reference_id = p_reference;
        IF hold.id IS NOT NULL THEN
            refusal := CASE
                WHEN (COALESCE(hold.wanted, hold.requested), hold.at_least, hold.credential)
                     <> (p_amount, p_at_least, p_credential) THEN 'idempotency_conflict' END;
        ELSIF refusal = 'insufficient_credits' AND account.credits < p_at_least
              AND account.used_up_armed THEN
            -- Credits that running completions hold are not used up.
            PERFORM accounts_alert_used_up(p_account, account.credits, p_at_least);
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

-- Charges the real cost: first from the hold, then from the available credits, never below zero.
-- An expired hold is charged from the available credits alone. The same capture again returns the
-- same result. `refusal` is hold_ended if the hold was released, or was captured with another cost.
CREATE OR REPLACE FUNCTION ledger_capture(
    p_account bigint, p_hold bigint, p_cost bigint, p_description text, p_metadata jsonb,
    OUT charged bigint, OUT uncollected bigint, OUT balance_after bigint, OUT available bigint,
    OUT seq bigint, OUT refusal text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    account users;
    hold credit_holds;
    posted credit_transactions;
    v_is_open boolean;
    v_held bigint;
    v_op bigint;
    v_now timestamptz;
BEGIN
    PERFORM ledger_check(p_cost, 0);
    account := ledger_lock(p_account);
    SELECT * INTO hold FROM credit_holds WHERE user_id = p_account AND id = p_hold;
    v_is_open := hold.state = 'open';
    v_held := CASE WHEN v_is_open THEN hold.amount ELSE 0 END;
    available := account.credits - account.credits_held;
    IF hold.captured IS NULL AND hold.state IN ('open', 'expired') THEN
        charged := LEAST(p_cost, available + v_held);
        IF charged > 0 THEN
            posted := ledger_write(
                p_account, 'usage', -charged, p_description, p_metadata, hold.reference_id,
                p_hold => hold.id, p_unhold => v_held, p_holds => v_is_open::int,
                p_locked => account);
            PERFORM ledger_burn(posted, CASE WHEN v_is_open THEN hold.pins END);
            PERFORM ledger_count(hold, -v_held, charged);
            v_op := posted.op;
        ELSE
            v_op := ledger_free(hold);
        END IF;
        v_now := clock_timestamp();
        UPDATE credit_holds
           SET captured = charged, cost = p_cost, captured_op = v_op,
               state = CASE WHEN v_is_open THEN 'captured' ELSE state END,
               ended_op = CASE WHEN v_is_open THEN v_op ELSE ended_op END,
               ended_at = COALESCE(ended_at, v_now)
         WHERE user_id = p_account AND id = p_hold;
        available := available + v_held - charged;
    ELSIF hold.cost IS DISTINCT FROM p_cost THEN
        refusal := 'hold_ended';
        RETURN;
    ELSE
        charged := hold.captured;
        SELECT * INTO posted FROM credit_transactions t
         WHERE t.user_id = p_account AND t.hold_id = p_hold AND t.type = 'usage';
    END IF;
    uncollected := p_cost - charged;
    balance_after := COALESCE(posted.balance_after, account.credits);
    seq := posted.seq;
END $$;

-- Returns the credits of an open hold to its locked account, and returns the number of this
-- operation. A hold that has ended already has no credits to return, but the operation is numbered.
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
    UPDATE users
       SET credits_held = credits_held - CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END,
           open_holds = open_holds - (h.state = 'open')::int, ledger_ops = ledger_ops + 1
     WHERE id = h.user_id
    RETURNING ledger_ops INTO v_op;
    RETURN v_op;
END $$;

-- Ends an open hold of a locked account without a charge and returns true. Leaves a hold that has
-- ended already as it is and returns false.
CREATE OR REPLACE FUNCTION ledger_end_hold(p_account bigint, p_hold bigint, p_state text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    hold credit_holds;
    v_now timestamptz := clock_timestamp();
    v_op bigint;
BEGIN
    UPDATE credit_holds SET state = p_state, ended_at = v_now
     WHERE user_id = p_account AND id = p_hold AND state = 'open'
    RETURNING * INTO hold;
    IF hold.id IS NULL THEN
        RETURN false;
    END IF;
    -- ledger_free needs the state before the UPDATE: it returns the credits of open holds only.
    hold.state := 'open';
    v_op := ledger_free(hold);
    UPDATE credit_holds SET ended_op = v_op WHERE user_id = p_account AND id = p_hold;
    RETURN true;
END $$;

-- Ends an open hold without a charge; false if it has ended already.
CREATE OR REPLACE FUNCTION ledger_release(p_account bigint, p_hold bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM users WHERE id = p_account FOR NO KEY UPDATE;
    RETURN ledger_end_hold(p_account, p_hold, 'released');
END $$;

-- Ends the holds of a locked account that are past their expiry, and returns their number.
CREATE OR REPLACE FUNCTION ledger_end_due_holds(p_account bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_ended integer := 0;
    v_hold bigint;
BEGIN
    FOR v_hold IN SELECT id FROM credit_holds
                   WHERE user_id = p_account AND state = 'open' AND expires_at <= clock_timestamp()
                   ORDER BY id
    LOOP
        v_ended := v_ended + ledger_end_hold(p_account, v_hold, 'expired')::int;
    END LOOP;
    RETURN v_ended;
END $$;

-- Ends the expired holds and grants of one account, and returns the number of holds. If another
-- transaction has locked the account, nothing is done and the result is 0.
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
