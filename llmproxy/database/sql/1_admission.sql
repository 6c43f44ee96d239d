-- May this completion run? Who calls, which model, within which limits, and what is held for it: decided and written in one
-- round trip. Lock order: the ledger's, user row first; then rates, idempotency key, last use.

-- The active user behind a token's or key's checksum (or `p_account`, a browser's), with the limits of theirs and of the device
-- or key that calls. A device that was disconnected is never taken for a browser, which has no budget.
CREATE OR REPLACE FUNCTION gateway_caller(
    p_checksum text, p_is_key boolean, p_account bigint,
    OUT id bigint, OUT refusal text, OUT credential text, OUT name text, OUT budget bigint, OUT key_models text[],
    OUT last_used_at timestamptz, OUT rpm integer, OUT tpm integer, OUT concurrent integer
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    owner record;
    own api_keys;
BEGIN
    credential := '';
    IF p_checksum = '' THEN
        SELECT u.id INTO id FROM users u WHERE u.id = p_account AND u.is_active;
    ELSE
        owner := accounts_credential_owner(p_checksum, p_is_key);
        id := owner.account;
        IF p_is_key THEN
            own := owner.key;
            credential := 'key:' || own.id;
            name := own.name;
            budget := own.monthly_budget;
            key_models := own.allowed_models;
            last_used_at := own.last_used_at;
            rpm := own.requests_per_minute;
            tpm := own.tokens_per_minute;
            concurrent := own.max_concurrent;
        ELSIF owner.family IS NOT NULL THEN
            SELECT 'device:' || replace(s.token_family::text, '-', ''), s.name, s.monthly_budget, s.last_used_at,
                   s.requests_per_minute, s.tokens_per_minute, s.max_concurrent
              INTO credential, name, budget, last_used_at, rpm, tpm, concurrent
              FROM device_sessions s
             WHERE s.user_id = owner.account AND s.token_family = owner.family AND s.revoked_at IS NULL;
        END IF;
        refusal := CASE WHEN owner.family IS NOT NULL AND credential IS NULL THEN 'invalid_token'
                        WHEN NOT ('llm:chat' = ANY (string_to_array(owner.scope, ' '))) THEN 'insufficient_scope' END;
        credential := COALESCE(credential, '');
    END IF;
    IF id IS NULL THEN
        refusal := 'invalid_token';
    END IF;
END $$;

-- The active model of this name, or the oldest, with its prices and, as JSON, the providers that serve it on this route.
CREATE OR REPLACE FUNCTION gateway_model(
    p_name text, p_endpoint text, p_price numeric, p_longest integer, p_image_tokens integer,
    OUT name text, OUT refusal text, OUT prices jsonb, OUT prompt numeric, OUT dearest_prompt numeric,
    OUT dearest_completion numeric, OUT longest integer, OUT image_tokens integer, OUT targets json
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_model bigint;
BEGIN
    SELECT m.id, m.name, gateway_prices(m, p_price), COALESCE(m.prompt_price, p_price),
           gateway_dearest_prompt(m, p_price), gateway_dearest_completion(m, p_price),
           COALESCE(m.max_output_tokens, p_longest), COALESCE(m.image_tokens, p_image_tokens)
      INTO v_model, gateway_model.name, prices, prompt, dearest_prompt, dearest_completion, longest, image_tokens
      FROM language_models m
     WHERE m.is_active AND (m.name = p_name OR p_name IS NULL)
       AND EXISTS (SELECT FROM llm_deployments d JOIN llm_providers v ON v.id = d.provider_id
                    WHERE d.model_id = m.id AND d.is_active AND v.is_active)
     ORDER BY m.id LIMIT 1;
    SELECT json_agg(json_build_object(
               'provider', v.id, 'slug', v.slug, 'base_url', v.base_url, 'encrypted_key', v.encrypted_key,
               'key_header', v.key_header, 'upstream_name', d.upstream_name, 'order', d."order", 'weight', d.weight,
               'connect_seconds', v.connect_seconds, 'first_byte_seconds', v.first_byte_seconds,
               'idle_seconds', v.idle_seconds, 'on_disconnect', v.on_disconnect, 'drain_seconds', v.drain_seconds,
               'failures', v.failures, 'is_cooling', COALESCE(v.cooling_until > clock_timestamp(), false)))
      INTO targets
      FROM llm_deployments d JOIN llm_providers v ON v.id = d.provider_id
     WHERE d.model_id = v_model AND d.is_active AND v.is_active AND p_endpoint = ANY (v.endpoints);
    refusal := CASE WHEN v_model IS NULL THEN 'model_not_found'
                    WHEN dearest_prompt IS NULL OR dearest_completion IS NULL THEN 'model_without_price'
                    WHEN targets IS NULL THEN 'route_not_served' END;
END $$;

-- The rates of a user (no credential), device or key: the row that counts so many more, and what the limits say to that.
CREATE OR REPLACE FUNCTION gateway_rates(
    p_account bigint, p_credential text, p_rpm bigint, p_tpm bigint, p_requests integer, p_tokens bigint, p_now timestamptz,
    OUT rate llm_rates, OUT refusal text, OUT said json
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    requests record;
    tokens record;
BEGIN
    SELECT * INTO rate FROM llm_rates r WHERE r.user_id = p_account AND r.credential = p_credential;
    requests := accounts_rate(rate.requests, p_now, p_rpm, p_requests, 60);
    tokens := accounts_rate(rate.tokens, p_now, p_tpm, p_tokens, 60);
    rate.user_id := p_account;
    rate.credential := p_credential;
    rate.requests := COALESCE(requests.arrival, p_now);
    rate.tokens := COALESCE(tokens.arrival, p_now);
    refusal := CASE WHEN NOT requests.allowed THEN 'requests' WHEN NOT tokens.allowed THEN 'tokens' END;
    said := json_build_object('credential', p_credential, 'requests', requests.said, 'tokens', tokens.said);
END $$;

-- What the limits of user and device or key say where nothing is counted: for a refusal or a repetition.
CREATE OR REPLACE FUNCTION gateway_uncounted(caller record, account record, p_now timestamptz) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN json_build_array(
        (gateway_rates(caller.id, '', account.rpm, account.tpm, 0, 0, p_now)).said,
        (gateway_rates(caller.id, caller.credential, caller.rpm, caller.tpm, 0, 0, p_now)).said);
END $$;

-- What the same Idempotency-Key means for a request with this digest; NULL if the request may run.
CREATE OR REPLACE FUNCTION gateway_known(
    p_account bigint, p_key text, p_digest text, p_reference text, p_seconds integer, p_now timestamptz
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    known llm_idempotency_keys;
BEGIN
    SELECT * INTO known FROM llm_idempotency_keys k WHERE COALESCE(k.user_id, 0) = COALESCE(p_account, 0) AND k.key = p_key;
    IF known.id IS NULL OR known.generation_id = p_reference
       OR known.created_at + make_interval(secs => p_seconds) <= p_now OR known.running_until <= p_now THEN
        RETURN NULL;
    END IF;
    RETURN json_build_object(
        'refusal', CASE WHEN known.digest <> p_digest THEN 'other_request' WHEN known.running_until IS NOT NULL
                        THEN 'still_running' WHEN known.answer = '' THEN 'answered_once' ELSE 'answered' END,
        'generation_id', known.generation_id, 'answer', known.answer,
        'bill', (SELECT json_build_array(c.charged, c.balance_after) FROM completions c
                  WHERE c.user_id IS NOT DISTINCT FROM p_account AND c.generation_id = known.generation_id));
END $$;

-- What `p` asks for, as llmproxy/admission/admit.py puts it. The answer has a `refusal`, or all that the completion needs.
CREATE OR REPLACE FUNCTION gateway_admit(p jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    caller record;
    account record;
    model record;
    asked record;
    own record;
    held record;
    hold credit_holds;
    known json;
    v_now timestamptz := clock_timestamp();
    v_rates llm_rates[] := '{}';
    v_said json[] := '{}';
    v_certain bigint;  -- tokens that the prompt cannot exceed
    v_prompt bigint;   -- and that it is likely to have
    v_longest bigint;
    v_floor bigint := 0;
    v_wanted bigint := 0;
    v_affordable bigint;
BEGIN
    SELECT * INTO asked FROM jsonb_to_record(p) AS a(
        checksum text, is_key boolean, "user" bigint, is_backend boolean, model text, endpoint text, price numeric,
        longest integer, image_tokens integer, prompt_bytes bigint, prompt_tokens bigint, images integer, choices integer,
        max_tokens bigint, rpm bigint, tpm bigint, max_open integer, least bigint, most bigint, reference text,
        seconds integer, key text, digest text, key_seconds integer, note_seconds integer, least_tokens integer);
    caller := gateway_caller(asked.checksum, asked.is_key, asked."user");
    IF caller.refusal IS NOT NULL AND NOT asked.is_backend THEN
        RETURN json_build_object('refusal', caller.refusal);
    END IF;
    -- Whoever calls at the same moment for the same user waits here, and then sees what this call wrote.
    SELECT pl.allowed_models, COALESCE(u.max_concurrent, pl.max_concurrent, asked.max_open) AS concurrent,
           COALESCE(u.requests_per_minute, pl.requests_per_minute, asked.rpm) AS rpm,
           COALESCE(u.tokens_per_minute, pl.tokens_per_minute, asked.tpm) AS tpm
      INTO account FROM users u JOIN plans pl ON pl.slug = u.plan WHERE u.id = caller.id FOR NO KEY UPDATE OF u;
    v_now := clock_timestamp();
    model := gateway_model(asked.model, asked.endpoint, asked.price, asked.longest, asked.image_tokens);
    IF NOT (COALESCE(cardinality(account.allowed_models), 0) = 0 OR model.name = ANY (account.allowed_models))
       OR NOT (COALESCE(cardinality(caller.key_models), 0) = 0 OR model.name = ANY (caller.key_models)) THEN
        RETURN json_build_object('refusal', 'model_not_found');
    END IF;
    -- A key that may not use the model is not given its answers either; a model that is gone takes none of them back.
    IF asked.key IS NOT NULL THEN
        known := gateway_known(caller.id, asked.key, asked.digest, asked.reference, asked.key_seconds, v_now);
        IF known IS NOT NULL THEN
            RETURN known::jsonb || jsonb_build_object('rates', gateway_uncounted(caller, account, v_now));
        END IF;
    END IF;
    IF model.refusal IS NOT NULL THEN
        RETURN json_build_object('refusal', model.refusal);
    END IF;
    v_certain := asked.prompt_bytes + asked.images * model.image_tokens;
    v_prompt := asked.prompt_tokens + asked.images * model.image_tokens;
    v_longest := LEAST(asked.max_tokens, model.longest);
    IF caller.id IS NOT NULL THEN
        own := gateway_rates(caller.id, '', account.rpm, account.tpm, 1, v_prompt + v_longest * asked.choices, v_now);
        v_rates := v_rates || own.rate;
        v_said := v_said || own.said;
        IF own.refusal IS NULL AND (caller.rpm IS NOT NULL OR caller.tpm IS NOT NULL) THEN
            own := gateway_rates(caller.id, caller.credential, caller.rpm, caller.tpm, 1,
                                 v_prompt + v_longest * asked.choices, v_now);
            v_rates := v_rates || own.rate;
            v_said := v_said || own.said;
        END IF;
        IF own.refusal IS NOT NULL THEN
            RETURN json_build_object('refusal', 'too_many_' || own.refusal, 'refused', own.said, 'name', caller.name,
                                     'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        IF caller.concurrent <= (SELECT count(*) FROM credit_holds h WHERE h.user_id = caller.id AND h.state = 'open'
                                    AND h.credential = caller.credential AND h.expires_at > v_now) THEN
            RETURN json_build_object('refusal', 'too_many_running', 'credential', caller.credential, 'name', caller.name,
                                     'limit', caller.concurrent, 'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        IF model.dearest_prompt + model.dearest_completion > 0 THEN
            -- One token can always be tried; an answer that has to be longer has to be left by the dearest prompt.
            v_floor := GREATEST(asked.least, ceil((
                v_prompt * CASE WHEN asked.least_tokens > 1 THEN model.dearest_prompt ELSE model.prompt END
                + LEAST(v_longest, COALESCE(asked.least_tokens, 1)) * asked.choices * model.dearest_completion) / 1000));
        END IF;
        v_wanted := LEAST(GREATEST(v_floor, ceil((
            v_certain * model.dearest_prompt + v_longest * asked.choices * model.dearest_completion) / 1000)), asked.most);
        held := ledger_hold(caller.id, v_wanted, LEAST(v_floor, v_wanted), asked.reference, asked.seconds,
                            account.concurrent, caller.credential, caller.budget);
        IF held.refusal = 'budget_used_up' THEN
            held.available := GREATEST(LEAST(held.available, caller.budget - (held.counted).held - (held.counted).spent), 0);
        END IF;
        hold := held.hold;
        v_affordable := CASE WHEN model.dearest_completion > 0 THEN
            floor(GREATEST(COALESCE(hold.amount, held.available) * 1000 - v_prompt * model.dearest_prompt, 0)
                  / model.dearest_completion) END;
        IF held.refusal IS NOT NULL THEN
            RETURN json_build_object(
                'refusal', held.refusal, 'required', LEAST(v_floor, v_wanted), 'available', held.available,
                'affordable_tokens', v_affordable, 'credential', caller.credential, 'name', caller.name,
                'budget', caller.budget, 'spent', (held.counted).spent, 'held', (held.counted).held,
                'month', (held.counted).month, 'limit', account.concurrent,
                'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        INSERT INTO llm_rates (user_id, credential, requests, tokens)
        SELECT r.user_id, r.credential, r.requests, r.tokens FROM unnest(v_rates) r
            ON CONFLICT (user_id, credential) DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens;
    END IF;
    IF asked.key IS NOT NULL THEN
        INSERT INTO llm_idempotency_keys AS k (user_id, key, digest, generation_id, running_until, created_at)
        VALUES (caller.id, asked.key, asked.digest, asked.reference, v_now + make_interval(secs => asked.seconds), v_now)
            ON CONFLICT (COALESCE(user_id, 0), key) DO UPDATE
           SET digest = excluded.digest, generation_id = excluded.generation_id, running_until = excluded.running_until,
               created_at = excluded.created_at, answer = ''
         WHERE k.generation_id = excluded.generation_id OR k.created_at + make_interval(secs => asked.key_seconds) <= v_now OR k.running_until <= v_now;
        IF NOT FOUND THEN
            -- Only a caller without a user gets here: everybody else waits for the lock of theirs.
            RETURN json_build_object('refusal', 'still_running', 'generation_id', '', 'answer', '', 'bill', NULL,
                                     'rates', '[]'::json);
        END IF;
    END IF;
    IF caller.credential <> '' AND COALESCE(caller.last_used_at, '-infinity') <= v_now - make_interval(secs => asked.note_seconds) THEN
        PERFORM gateway_note_use(caller.id, caller.credential, v_now);
    END IF;
    RETURN json_build_object(
        'account', caller.id, 'credential', caller.credential, 'name', caller.name, 'model', model.name,
        'prices', model.prices,
        'targets', model.targets, 'prompt_tokens', v_prompt, 'certain_tokens', v_certain, 'longest', v_longest,
        'affordable', v_affordable / asked.choices, 'hold', hold.id, 'held', hold.amount, 'rates', v_said);
END $$;

-- A device or key called just now; written at most once in a while, so not with every call.
CREATE OR REPLACE FUNCTION gateway_note_use(p_account bigint, p_credential text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_own text := split_part(p_credential, ':', 2);
BEGIN
    IF starts_with(p_credential, 'key:') THEN
        UPDATE api_keys SET last_used_at = p_now WHERE user_id = p_account AND id = v_own::bigint;
    ELSE
        UPDATE device_sessions SET last_used_at = p_now WHERE user_id = p_account AND token_family = v_own::uuid;
    END IF;
END $$;

-- Who calls, where no completion is begun; a use as well.
CREATE OR REPLACE FUNCTION gateway_identify(
    p_checksum text, p_is_key boolean, p_seconds integer, OUT id bigint, OUT refusal text
) LANGUAGE plpgsql AS $$
DECLARE
    caller record;
BEGIN
    caller := gateway_caller(p_checksum, p_is_key, NULL);
    id := caller.id;
    refusal := caller.refusal;
    IF refusal IS NULL AND caller.credential <> ''
       AND COALESCE(caller.last_used_at, '-infinity') <= clock_timestamp() - make_interval(secs => p_seconds) THEN
        PERFORM gateway_note_use(caller.id, caller.credential, clock_timestamp());
    END IF;
END $$;
