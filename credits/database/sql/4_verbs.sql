-- Verbs that add, correct and reverse credits. Each has an idempotency key: the same request with
-- the same key has the same outcome, and takes effect once.

-- Does `p_verb` once per key `p_key`; with a NULL key it is done each time. Returns the id of the
-- transaction, or a refusal {"code": ..., facts}; a refusal is stored for the key as well.
-- `p_request` has everything that decides the outcome. `p_note` has the description and the
-- metadata, which may differ when the request is repeated.
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
    -- The name of the allowance is stored even if it was granted before, because otherwise the job
    -- that grants allowances would find this user again every minute.
    UPDATE users SET allowance = p_request ->> 'allowance'
     WHERE id = p_account AND p_request ? 'allowance';
    SELECT * INTO stored FROM credit_operations
     WHERE user_id = p_account AND verb = p_verb AND idempotency_key = p_key;
    IF stored.id IS NOT NULL THEN
        transaction_id := CASE WHEN stored.request = p_request THEN stored.transaction_id END;
        refusal := CASE WHEN stored.request = p_request THEN stored.refusal
                        ELSE '{"code": "idempotency_conflict"}' END;
        RETURN;
    END IF;
    CASE p_verb
        WHEN 'add' THEN outcome := ledger_add(account, p_key, p_request, p_note);
        WHEN 'adjust' THEN outcome := ledger_adjust(account, p_key, p_request, p_note);
        WHEN 'refund' THEN outcome := ledger_refund(account, p_key, p_request, p_note);
        WHEN 'claw_back' THEN outcome := ledger_claw_back(account, p_key, p_request, p_note);
        WHEN 'restore' THEN outcome := ledger_restore(account, p_key, p_request, p_note);
        WHEN 'write_off' THEN outcome := ledger_write_off(account, p_key, p_request, p_note);
    END CASE;
    transaction_id := outcome.transaction_id;
    refusal := outcome.refusal;
    IF p_key IS NOT NULL THEN
        SELECT ledger_ops INTO v_op FROM users WHERE id = p_account;
        INSERT INTO credit_operations
            (user_id, verb, idempotency_key, request, transaction_id, refusal, op, created_at)
        VALUES (p_account, p_verb, p_key, p_request, transaction_id, refusal, v_op,
                clock_timestamp());
    END IF;
END $$;

-- Returns whether a transaction of this type and reference was paid for: a purchase, or a
-- subscription that names its invoice. The monthly credits of a free plan have no reference.
CREATE OR REPLACE FUNCTION ledger_is_paid(p_type text, p_reference text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT p_type = 'purchase' OR p_type = 'subscription' AND p_reference <> ''
$$;

-- Adds a purchase, bonus or subscription. Paid credits first pay the debt of a lost dispute, with a
-- second transaction. A payment (the reference) can buy credits only once, even with another key.
CREATE OR REPLACE FUNCTION ledger_add(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_type text := p_request ->> 'type';
    v_is_paid boolean := ledger_is_paid(v_type, p_request ->> 'reference_id');
    posted credit_transactions;
    v_grant bigint;
    v_debt_paid bigint := CASE WHEN v_is_paid THEN
        LEAST(account.credits_debt, (p_request ->> 'amount')::bigint) ELSE 0 END;
BEGIN
    IF v_is_paid AND EXISTS (
        SELECT FROM credit_transactions
         WHERE type IN ('purchase', 'subscription') AND reference_id <> ''
           AND reference_id = p_request ->> 'reference_id') THEN
        refusal := '{"code": "payment_used"}';
        RETURN;
    END IF;
    posted := ledger_write(
        account.id, v_type, (p_request ->> 'amount')::bigint, p_note ->> 'description',
        p_note -> 'metadata', p_request ->> 'reference_id', p_key => p_key);
    v_grant := ledger_grant(posted, posted.amount, v_type, v_is_paid,
                            (p_request ->> 'priority')::integer,
                            (p_request ->> 'expires_at')::timestamptz);
    IF v_debt_paid > 0 THEN
        PERFORM ledger_burn(
            ledger_write(account.id, 'adjustment', -v_debt_paid, 'Debt of a disputed payment paid',
                         p_reference => p_request ->> 'reference_id', p_debt => -v_debt_paid),
            NULL, v_grant);
    END IF;
    transaction_id := posted.id;
END $$;

-- Adds or takes credits as an administrator's correction. Held credits cannot be taken.
CREATE OR REPLACE FUNCTION ledger_adjust(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_amount bigint := (p_request ->> 'amount')::bigint;
    posted credit_transactions;
BEGIN
    IF account.credits - account.credits_held + v_amount < 0 THEN
        refusal := ledger_short(account, -v_amount);
        RETURN;
    END IF;
    posted := ledger_write(account.id, p_request ->> 'type', v_amount, p_note ->> 'description',
                           p_key => p_key, p_actor => (p_request ->> 'actor')::bigint);
    IF v_amount > 0 THEN
        PERFORM ledger_grant(posted, v_amount, posted.type, false,
                             p_expires_at => (p_request ->> 'expires_at')::timestamptz);
    ELSE
        PERFORM ledger_burn(posted, NULL);
    END IF;
    transaction_id := posted.id;
END $$;

-- Returns the refusal for an account with fewer than `p_required` available credits.
CREATE OR REPLACE FUNCTION ledger_short(account users, p_required bigint) RETURNS jsonb
LANGUAGE sql AS $$
    SELECT jsonb_build_object('code', 'insufficient_credits', 'required', p_required,
                              'available', account.credits - account.credits_held)
$$;

-- Returns how many credits of a transaction have not been reversed. A reversal that was itself
-- reversed does not count.
CREATE OR REPLACE FUNCTION ledger_refundable(p_account bigint, p_transaction bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT abs(t.amount - t.debt) - COALESCE((
        SELECT sum(abs(r.amount - r.debt) - COALESCE((
                   SELECT sum(abs(s.amount - s.debt)) FROM credit_transactions s
                    WHERE s.user_id = p_account AND s.reverses_id = r.id), 0))
          FROM credit_transactions r
         WHERE r.user_id = p_account AND r.reverses_id = t.id), 0)::bigint
      FROM credit_transactions t WHERE t.user_id = p_account AND t.id = p_transaction
$$;

-- Finds the transaction to reverse. `left_over` is what has not been reversed of it; `amount` is
-- what to reverse now: the requested amount, or all that is left if the request has none.
CREATE OR REPLACE FUNCTION ledger_reversible(
    account users, p_request jsonb, OUT original credit_transactions, OUT left_over bigint,
    OUT amount bigint, OUT refusal jsonb
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

-- Returns the id of the grant that a paid transaction created.
CREATE OR REPLACE FUNCTION ledger_grant_of(p_account bigint, p_transaction bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT id FROM credit_grants WHERE user_id = p_account AND transaction_id = p_transaction
$$;

-- Reverses a usage (its credits return to the grants that it burned) or a paid transaction (its
-- credits are taken from the balance).
CREATE OR REPLACE FUNCTION ledger_refund(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    reversal record := ledger_reversible(account, p_request);
    original credit_transactions := reversal.original;
    v_is_paid boolean := ledger_is_paid(original.type, original.reference_id);
    v_sign integer;
    posted credit_transactions;
    v_without_grant bigint;
BEGIN
    refusal := reversal.refusal;
    IF original.type IS NOT NULL AND NOT (original.type = 'usage' OR v_is_paid) THEN
        refusal := '{"code": "not_refundable"}';
    ELSIF refusal IS NULL AND v_is_paid
          AND account.credits - account.credits_held < reversal.amount THEN
        refusal := ledger_short(account, reversal.amount);
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    v_sign := CASE original.type WHEN 'usage' THEN 1 ELSE -1 END;
    posted := ledger_write(
        account.id, 'refund', v_sign * reversal.amount, p_note ->> 'description',
        p_reference => original.reference_id, p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id);
    IF original.type = 'usage' THEN
        v_without_grant := ledger_unwind(
            posted, original.id, -original.amount - reversal.left_over, reversal.amount);
        PERFORM ledger_grant(posted, v_without_grant, 'refund', true) WHERE v_without_grant > 0;
    ELSE
        PERFORM ledger_burn(posted, NULL, ledger_grant_of(account.id, original.id));
    END IF;
    transaction_id := posted.id;
END $$;

-- Reverses a paid transaction after its payment was disputed: takes the available credits and
-- records the rest as debt.
CREATE OR REPLACE FUNCTION ledger_claw_back(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    reversal record := ledger_reversible(account, p_request);
    original credit_transactions := reversal.original;
    v_taken bigint := LEAST(reversal.amount, account.credits - account.credits_held);
    posted credit_transactions;
BEGIN
    refusal := CASE WHEN NOT ledger_is_paid(original.type, original.reference_id)
                    THEN '{"code": "not_refundable"}'::jsonb ELSE reversal.refusal END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    posted := ledger_write(
        account.id, 'refund', -v_taken, p_note ->> 'description',
        p_reference => original.reference_id, p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id,
        p_debt => reversal.amount - v_taken);
    IF v_taken > 0 THEN
        PERFORM ledger_burn(posted, NULL, ledger_grant_of(account.id, original.id));
    END IF;
    transaction_id := posted.id;
END $$;

-- Reverses the reversal of a paid transaction after the dispute was won: cancels the debt that is
-- still owed, then returns the rest as credits. A part of the debt that was written off was never
-- paid, so it is not returned: it is owed again first, and then cancelled.
CREATE OR REPLACE FUNCTION ledger_restore(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    reversal record := ledger_reversible(account, p_request);
    original credit_transactions := reversal.original;
    v_written_off bigint;
    v_debt_cancelled bigint;
    v_returned bigint;
    v_without_grant bigint;
    posted credit_transactions;
BEGIN
    refusal := reversal.refusal;
    IF original.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM credit_transactions t
         WHERE t.user_id = account.id AND t.id = original.reverses_id
           AND ledger_is_paid(t.type, t.reference_id)) THEN
        refusal := '{"code": "not_refundable"}';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    v_written_off := LEAST(ledger_written_off(account.id, original.seq), original.debt);
    IF v_written_off > 0 THEN
        PERFORM ledger_write(account.id, 'adjustment', 0, 'Debt written off before is owed again',
                             p_reference => original.reference_id, p_debt => v_written_off);
    END IF;
    v_debt_cancelled := LEAST(account.credits_debt + v_written_off, reversal.amount);
    v_returned := reversal.amount - v_debt_cancelled;
    posted := ledger_write(
        account.id, 'refund', v_returned, p_note ->> 'description',
        p_reference => original.reference_id, p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_reverses => original.id,
        p_debt => -v_debt_cancelled);
    v_without_grant := ledger_unwind(
        posted, original.id, 0, LEAST(v_returned, -original.amount));
    v_without_grant := v_without_grant + v_returned - LEAST(v_returned, -original.amount);
    PERFORM ledger_grant(posted, v_without_grant, 'refund', true) WHERE v_without_grant > 0;
    transaction_id := posted.id;
END $$;

-- Returns how much debt was written off after the transaction with the number `p_seq`, without what
-- is owed again.
CREATE OR REPLACE FUNCTION ledger_written_off(p_account bigint, p_seq bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT GREATEST(-COALESCE(sum(debt), 0), 0)::bigint FROM credit_transactions
     WHERE user_id = p_account AND seq > p_seq AND type = 'adjustment' AND amount = 0
$$;

-- Lowers the debt of an account without a payment, as a decision of an administrator: by the
-- requested amount, or by all of it if the request has none. The balance stays.
CREATE OR REPLACE FUNCTION ledger_write_off(
    account users, p_key text, p_request jsonb, p_note jsonb,
    OUT transaction_id bigint, OUT refusal jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    v_amount bigint := COALESCE((p_request ->> 'amount')::bigint, account.credits_debt);
BEGIN
    IF account.credits_debt = 0 THEN
        refusal := '{"code": "no_debt"}';
    ELSIF v_amount > account.credits_debt THEN
        refusal := jsonb_build_object('code', 'more_than_owed', 'owed', account.credits_debt);
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    transaction_id := (ledger_write(
        account.id, 'adjustment', 0, p_note ->> 'description', p_key => p_key,
        p_actor => (p_request ->> 'actor')::bigint, p_debt => -v_amount)).id;
END $$;
