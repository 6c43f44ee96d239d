-- Grants record where each credit came from. They are burned (spent) in the order: lowest priority,
-- soonest expiry, promotional before paid, lowest id. Ids are assigned under the lock of the user,
-- so they are in order of creation even if the clock is set back.

-- Creates a grant for the credits that a transaction added, and returns its id.
CREATE OR REPLACE FUNCTION ledger_grant(
    p_posted credit_transactions, p_amount bigint, p_source text, p_is_paid boolean,
    p_priority integer DEFAULT 100, p_expires_at timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_grant bigint;
BEGIN
    INSERT INTO credit_grants (user_id, transaction_id, source, amount, remaining, pinned, priority,
                               is_paid, first_expires_at, expires_at, created_at)
    VALUES (p_posted.user_id, p_posted.id, p_source, p_amount, p_amount, 0, p_priority, p_is_paid,
            p_expires_at, p_expires_at, p_posted.created_at)
    RETURNING id INTO v_grant;
    IF p_expires_at IS NOT NULL THEN
        UPDATE users SET grants_expire_at = LEAST(grants_expire_at, p_expires_at)
         WHERE id = p_posted.user_id;
    END IF;
    RETURN v_grant;
END $$;

-- Takes `p_amount` credits from one grant for a transaction, and unpins `p_unpin` credits of the
-- grant.
CREATE OR REPLACE FUNCTION ledger_take(
    p_posted credit_transactions, p_grant bigint, p_amount bigint, p_unpin bigint DEFAULT 0
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit_grants SET remaining = remaining - p_amount, pinned = pinned - p_unpin
     WHERE user_id = p_posted.user_id AND id = p_grant;
    INSERT INTO credit_allocations (user_id, transaction_id, grant_id, amount)
    VALUES (p_posted.user_id, p_posted.id, p_grant, -p_amount);
END $$;

-- Takes the credits that a transaction spent from the grants: first from those that its hold
-- pinned, then from the grant `p_first`, then in burn order. `p_pins` maps ids of grants to pinned
-- credits.
CREATE OR REPLACE FUNCTION ledger_burn(
    p_posted credit_transactions, p_pins jsonb, p_first bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := -p_posted.amount;
    v_part bigint;
    source record;
BEGIN
    IF p_pins IS NOT NULL THEN
        FOR source IN SELECT g.id, pin.value::bigint AS pinned
                        FROM jsonb_each_text(p_pins) pin
                        JOIN credit_grants g
                          ON g.user_id = p_posted.user_id AND g.id = pin.key::bigint
                       ORDER BY g.priority, g.expires_at NULLS LAST, g.is_paid, g.id
        LOOP
            v_part := LEAST(source.pinned, v_left);
            IF v_part > 0 THEN
                PERFORM ledger_take(p_posted, source.id, v_part, source.pinned);
            ELSE
                UPDATE credit_grants SET pinned = pinned - source.pinned
                 WHERE user_id = p_posted.user_id AND id = source.id;
            END IF;
            v_left := v_left - v_part;
        END LOOP;
    END IF;
    IF v_left = 0 THEN
        RETURN;
    END IF;
    FOR source IN SELECT id, remaining - pinned AS free FROM credit_grants
                   WHERE user_id = p_posted.user_id AND is_live AND remaining > pinned
                   ORDER BY id = p_first DESC NULLS LAST,
                            priority, expires_at NULLS LAST, is_paid, id
    LOOP
        v_part := LEAST(source.free, v_left);
        PERFORM ledger_take(p_posted, source.id, v_part);
        v_left := v_left - v_part;
        EXIT WHEN v_left = 0;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'user %: grants are % credits short of the balance',
            p_posted.user_id, v_left USING ERRCODE = 'check_violation';
    END IF;
END $$;

-- Pins the credits that a hold of `p_amount` would burn from grants with an expiry, so that they do
-- not expire while the completion runs. Returns {id of the grant: credits}, NULL if there are none.
CREATE OR REPLACE FUNCTION ledger_pin(p_account bigint, p_amount bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_pins jsonb;
BEGIN
    WITH ordered AS (
        SELECT id, expires_at, remaining - pinned AS free,
               sum(remaining - pinned) OVER (
                   ORDER BY priority, expires_at NULLS LAST, is_paid, id
               ) - (remaining - pinned) AS before
          FROM credit_grants WHERE user_id = p_account AND is_live AND remaining > pinned
    ), pinned AS (
        UPDATE credit_grants g SET pinned = g.pinned + LEAST(o.free, p_amount - o.before)
          FROM ordered o
         WHERE g.user_id = p_account AND g.id = o.id AND o.expires_at IS NOT NULL
           AND o.before < p_amount
        RETURNING g.id, LEAST(o.free, p_amount - o.before) AS amount
    )
    SELECT jsonb_object_agg(id, amount) INTO v_pins FROM pinned;
    RETURN v_pins;
END $$;

-- Ends the pins of a hold, {id of the grant: credits}.
CREATE OR REPLACE FUNCTION ledger_unpin(p_account bigint, p_pins jsonb) RETURNS void
LANGUAGE sql AS $$
    UPDATE credit_grants g SET pinned = g.pinned - pin.value::bigint
      FROM jsonb_each_text(p_pins) pin WHERE g.user_id = p_account AND g.id = pin.key::bigint
$$;

-- Returns `p_amount` credits to the grants that the transaction `p_original` burned, the last
-- burned grant first. `p_before` credits of that transaction were returned earlier and are
-- skipped. A grant that has expired meanwhile becomes valid for another 7 days. The result is the
-- number of credits for which there was no grant.
CREATE OR REPLACE FUNCTION ledger_unwind(
    p_posted credit_transactions, p_original bigint, p_before bigint, p_amount bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := p_amount;
    v_part bigint;
    v_another_week timestamptz := p_posted.created_at + interval '7 days';
    v_soonest timestamptz;
    part record;
BEGIN
    FOR part IN SELECT a.grant_id, -a.amount AS amount,
                       sum(-a.amount) OVER (ORDER BY a.id DESC) AS running_total
                  FROM credit_allocations a
                 WHERE a.user_id = p_posted.user_id AND a.transaction_id = p_original
                 ORDER BY a.id DESC
    LOOP
        v_part := LEAST(part.running_total - p_before, part.amount, v_left);
        CONTINUE WHEN v_part <= 0;
        UPDATE credit_grants
           SET remaining = remaining + v_part,
               expires_at = CASE WHEN expires_at <= p_posted.created_at THEN v_another_week
                                 ELSE expires_at END
         WHERE user_id = p_posted.user_id AND id = part.grant_id;
        INSERT INTO credit_allocations (user_id, transaction_id, grant_id, amount)
        VALUES (p_posted.user_id, p_posted.id, part.grant_id, v_part);
        v_left := v_left - v_part;
    END LOOP;
    SELECT min(expires_at) INTO v_soonest
      FROM credit_grants WHERE user_id = p_posted.user_id AND is_live;
    UPDATE users SET grants_expire_at = v_soonest WHERE id = p_posted.user_id;
    RETURN v_left;
END $$;

-- Takes away the credits of expired grants of a locked account, except those that a hold has pinned
-- and those that open holds need. Returns the number of credits taken.
CREATE OR REPLACE FUNCTION ledger_expire_grants(p_account bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_total bigint := 0;
    v_available bigint;
    v_due bigint;
    v_soonest timestamptz;
    due record;
BEGIN
    SELECT credits - credits_held INTO v_available FROM users WHERE id = p_account;
    FOR due IN SELECT id, remaining - pinned AS free FROM credit_grants
                WHERE user_id = p_account AND is_live AND expires_at <= clock_timestamp()
                  AND remaining > pinned
                ORDER BY priority, expires_at, is_paid, id
    LOOP
        v_due := LEAST(due.free, v_available - v_total);
        EXIT WHEN v_due <= 0;
        PERFORM ledger_take(
            ledger_write(p_account, 'adjustment', -v_due, 'Credits expired',
                         p_expired_grant => due.id), due.id, v_due);
        v_total := v_total + v_due;
    END LOOP;
    SELECT min(expires_at) INTO v_soonest
      FROM credit_grants WHERE user_id = p_account AND is_live;
    UPDATE users SET grants_expire_at = v_soonest WHERE id = p_account;
    RETURN v_total;
END $$;
