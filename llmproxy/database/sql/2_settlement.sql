-- Settles a completion in one transaction: charges the hold, inserts the row, returns the unused
-- part of the rates and stores the answer under the idempotency key. `p` has the columns of the
-- completion and the further keys of SettlementRequest in llmproxy/database/contract.py. The
-- result is NULL if the completion was settled before; then nothing is changed.
CREATE OR REPLACE FUNCTION gateway_settle(p jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    -- A worker of the version before, which a deployment has not stopped yet, does not send the
    -- count of a kind that is new: it is 0.
    completion completions := jsonb_populate_record(NULL::completions, gateway_no_tokens() || p);
    captured record;
    v_created timestamptz := clock_timestamp();
BEGIN
    completion.charged := 0;
    IF completion.hold_id IS NOT NULL AND completion.cost = 0
       AND completion.status <> 'completed' THEN
        PERFORM ledger_release(completion.user_id, completion.hold_id);
        SELECT credits INTO completion.balance_after FROM users WHERE id = completion.user_id;
    ELSIF completion.hold_id IS NOT NULL THEN
        captured := ledger_capture(
            completion.user_id, completion.hold_id,
            LEAST(completion.cost, (p ->> 'most')::bigint), completion.model, p -> 'metadata');
        IF captured.refusal IS NOT NULL AND EXISTS (
            SELECT FROM completions WHERE user_id = completion.user_id
                                      AND generation_id = completion.generation_id) THEN
            RETURN NULL;
        END IF;
        -- If an administrator has cancelled the hold meanwhile, nothing is charged.
        completion.charged := COALESCE(captured.charged, 0);
        completion.balance_after := COALESCE(
            captured.balance_after, (SELECT credits FROM users WHERE id = completion.user_id));
        IF completion.balance_after < (p ->> 'least')::bigint THEN
            PERFORM accounts_alert_used_up(
                completion.user_id, completion.balance_after, (p ->> 'least')::bigint);
        END IF;
    ELSE
        SELECT credits INTO completion.balance_after FROM users WHERE id = completion.user_id;
    END IF;
    completion.uncollected := completion.cost - completion.charged;
    completion.created_at := v_created;
    -- `completion` has all columns in the order of the table. Its id is NULL; OVERRIDING USER VALUE
    -- makes PostgreSQL take the next identity value instead.
    INSERT INTO completions OVERRIDING USER VALUE SELECT (completion).*;
    -- Returns the tokens that admission counted and the completion did not use: `seconds` of the
    -- rate by credential, but no more than from now to `until`. The part before now has refilled
    -- with time already and must not be returned again. Negative `seconds` are an overrun, which
    -- is charged from now on.
    UPDATE llm_rates r SET tokens = corrected.tokens
      FROM (SELECT counted.credential,
                   CASE WHEN unused.seconds < 0 THEN GREATEST(counted.tokens, v_created)
                        ELSE counted.tokens END
                   - make_interval(secs => LEAST(
                       unused.seconds,
                       GREATEST(unused.until - extract(epoch FROM v_created), 0))) AS tokens
              FROM (SELECT key, (value ->> 'seconds')::double precision AS seconds,
                           (value ->> 'until')::double precision AS until
                      FROM jsonb_each(p -> 'unused')) unused
              JOIN llm_rates counted ON counted.user_id = completion.user_id
                                    AND counted.credential = unused.key) corrected
     WHERE r.user_id = completion.user_id AND r.credential = corrected.credential;
    IF p ->> 'key' IS NULL THEN
        NULL;
    ELSIF completion.charged = 0 AND completion.status <> 'completed' THEN
        DELETE FROM llm_idempotency_keys
         WHERE COALESCE(user_id, 0) = COALESCE(completion.user_id, 0) AND key = p ->> 'key'
           AND generation_id = completion.generation_id;
    ELSE
        UPDATE llm_idempotency_keys SET running_until = NULL, answer = COALESCE(p ->> 'answer', '')
         WHERE COALESCE(user_id, 0) = COALESCE(completion.user_id, 0) AND key = p ->> 'key'
           AND generation_id = completion.generation_id;
    END IF;
    RETURN json_build_object('charged', completion.charged,
                             'balance_after', completion.balance_after,
                             'created', extract(epoch FROM v_created)::bigint);
END $$;
