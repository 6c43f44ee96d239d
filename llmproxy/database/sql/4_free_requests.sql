-- Admits a request that generates nothing and costs nothing, such as a count of tokens: finds the
-- caller and the model, and counts one request and no tokens against the limits per minute. It
-- holds no credits. The keys of `p` and of the result are in llmproxy/database/contract.py. Locks
-- are taken in the order of gateway_admit: the user, then the rates, then the time of last use.
CREATE OR REPLACE FUNCTION gateway_admit_free(p jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    caller record;
    account record;
    model record;
    request record;
    counted record;
    v_now timestamptz;
    v_estimate bigint;  -- tokens of the prompt, with its media
    v_rates llm_rates[] := '{}';
    v_limits json[] := '{}';  -- how much is left of each limit, for the response headers
BEGIN
    SELECT * INTO request FROM jsonb_to_record(p) AS a(
        checksum text, is_key boolean, "user" bigint, is_backend boolean, model text, endpoint text,
        price numeric, longest integer, media jsonb, prompt_tokens bigint, rpm bigint,
        tpm bigint, note_seconds integer);
    caller := gateway_caller(request.checksum, request.is_key, request."user");
    IF caller.refusal IS NOT NULL AND NOT request.is_backend THEN
        RETURN json_build_object('refusal', caller.refusal);
    END IF;
    SELECT pl.allowed_models,
           COALESCE(u.requests_per_minute, pl.requests_per_minute, request.rpm) AS rpm,
           COALESCE(u.tokens_per_minute, pl.tokens_per_minute, request.tpm) AS tpm
      INTO account FROM users u JOIN plans pl ON pl.slug = u.plan
     WHERE u.id = caller.id FOR NO KEY UPDATE OF u;
    v_now := clock_timestamp();
    model := gateway_model(request.model, request.endpoint, request.price, request.longest);
    IF NOT (COALESCE(cardinality(account.allowed_models), 0) = 0
            OR model.name = ANY (account.allowed_models))
       OR NOT (COALESCE(cardinality(caller.key_models), 0) = 0
               OR model.name = ANY (caller.key_models)) THEN
        RETURN json_build_object('refusal', 'model_not_found');
    END IF;
    IF model.refusal IS NOT NULL THEN
        RETURN json_build_object('refusal', model.refusal);
    END IF;
    v_estimate := request.prompt_tokens;
    IF request.media IS NOT NULL THEN
        SELECT v_estimate + COALESCE(sum(media.rate * media.likely), 0) INTO v_estimate
          FROM language_models m, gateway_media(m, request.media) AS media
         WHERE m.id = model.id;
    END IF;
    IF caller.id IS NOT NULL THEN
        -- Without tokens, a limit of tokens that is used up is no reason to refuse.
        counted := gateway_rates(caller.id, '', account.rpm, account.tpm, 1, 0, v_now);
        v_rates := v_rates || counted.rate;
        v_limits := v_limits || counted.said;
        IF counted.refusal IS DISTINCT FROM 'requests'
           AND (caller.rpm IS NOT NULL OR caller.tpm IS NOT NULL) THEN
            counted := gateway_rates(caller.id, caller.credential, caller.rpm, caller.tpm, 1, 0,
                                     v_now);
            v_rates := v_rates || counted.rate;
            v_limits := v_limits || counted.said;
        END IF;
        IF counted.refusal = 'requests' THEN
            RETURN json_build_object(
                'refusal', 'too_many_requests', 'refused', counted.said,
                'name', caller.name, 'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        INSERT INTO llm_rates (user_id, credential, requests, tokens)
        SELECT r.user_id, r.credential, r.requests, r.tokens FROM unnest(v_rates) r
            ON CONFLICT (user_id, credential)
            DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens;
    END IF;
    IF caller.credential <> '' AND COALESCE(caller.last_used_at, '-infinity')
       <= v_now - make_interval(secs => request.note_seconds) THEN
        PERFORM gateway_note_use(caller.id, caller.credential, v_now);
    END IF;
    RETURN json_build_object(
        'account', caller.id, 'model', model.name, 'targets', model.targets,
        'prompt_tokens', v_estimate, 'rates', v_limits);
END $$;
