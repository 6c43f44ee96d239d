-- The end of a completion: its charge, its row, the rates it did not use and what a repetition gets, all or nothing.
-- `p` has the columns of the completion, and what is not one of them. A completion that has ended already is left as it is.
CREATE OR REPLACE FUNCTION gateway_settle(p jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    done completions := jsonb_populate_record(NULL::completions, p);
    captured record;
    v_created timestamptz := clock_timestamp();
BEGIN
    done.charged := 0;
    IF done.hold_id IS NOT NULL AND done.cost = 0 AND done.status <> 'completed' THEN
        PERFORM ledger_release(done.user_id, done.hold_id);
        SELECT credits INTO done.balance_after FROM users WHERE id = done.user_id;
    ELSIF done.hold_id IS NOT NULL THEN
        captured := ledger_capture(done.user_id, done.hold_id, LEAST(done.cost, (p ->> 'most')::bigint), done.model,
                                   p -> 'metadata');
        IF captured.refusal IS NOT NULL AND EXISTS (
            SELECT FROM completions WHERE user_id = done.user_id AND generation_id = done.generation_id) THEN
            RETURN NULL;
        END IF;
        done.charged := COALESCE(captured.charged, 0);  -- nothing, if an operator cancelled the hold meanwhile
        done.balance_after := COALESCE(captured.balance_after, (SELECT credits FROM users WHERE id = done.user_id));
    ELSE
        SELECT credits INTO done.balance_after FROM users WHERE id = done.user_id;
    END IF;
    done.uncollected := done.cost - done.charged;
    done.created_at := v_created;
    -- All columns in the order of the table, whatever that is; the id is the identity's, not the NULL in `done`.
    INSERT INTO completions OVERRIDING USER VALUE SELECT (done).*;
    -- What was counted and not used: `seconds` of the rate, by credential. Not what has become free with time, which is up to
    -- `until`: that would be free twice. What was used and not counted, which is below zero, begins now at the earliest.
    UPDATE llm_rates r SET tokens = n.tokens
      FROM (SELECT b.credential,
                   CASE WHEN u.seconds < 0 THEN GREATEST(b.tokens, v_created) ELSE b.tokens END
                   - make_interval(secs => LEAST(u.seconds, GREATEST(u.until - extract(epoch FROM v_created), 0)))
                   AS tokens
              FROM (SELECT key, (value ->> 'seconds')::double precision AS seconds,
                           (value ->> 'until')::double precision AS until FROM jsonb_each(p -> 'unused')) u
              JOIN llm_rates b ON b.user_id = done.user_id AND b.credential = u.key) n
     WHERE r.user_id = done.user_id AND r.credential = n.credential;
    IF p ->> 'key' IS NULL THEN
        NULL;
    ELSIF done.charged = 0 AND done.status <> 'completed' THEN
        DELETE FROM llm_idempotency_keys
         WHERE COALESCE(user_id, 0) = COALESCE(done.user_id, 0) AND key = p ->> 'key'
           AND generation_id = done.generation_id;
    ELSE
        UPDATE llm_idempotency_keys SET running_until = NULL, answer = COALESCE(p ->> 'answer', '')
         WHERE COALESCE(user_id, 0) = COALESCE(done.user_id, 0) AND key = p ->> 'key'
           AND generation_id = done.generation_id;
    END IF;
    RETURN json_build_object('charged', done.charged, 'balance_after', done.balance_after,
                             'created', extract(epoch FROM v_created)::bigint);
END $$;
