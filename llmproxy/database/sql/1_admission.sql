-- Admission of a completion: finds the caller and the model, checks the limits and holds credits,
-- all in one round trip. Locks are taken in the order of the ledger (user row first), then the
-- rates, the idempotency key and the time of last use.

-- Finds the active user behind the checksum of an access token or API key, and the limits of the
-- calling device or key. With an empty checksum the caller is the browser session of `p_account`.
-- `refusal` is NULL, invalid_token or insufficient_scope. A disconnected device is refused, because
-- with an empty credential it would be treated as a browser, which has no budget.
CREATE OR REPLACE FUNCTION gateway_caller(
    p_checksum text, p_is_key boolean, p_account bigint,
    OUT id bigint, OUT refusal text, OUT credential text, OUT name text, OUT budget bigint,
    OUT key_models text[], OUT last_used_at timestamptz,
    OUT rpm integer, OUT tpm integer, OUT concurrent integer
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    owner record;
    api_key api_keys;
BEGIN
    credential := '';
    IF p_checksum = '' THEN
        SELECT u.id INTO id FROM users u WHERE u.id = p_account AND u.is_active;
    ELSE
        owner := accounts_credential_owner(p_checksum, p_is_key);
        id := owner.account;
        IF p_is_key THEN
            api_key := owner.key;
            credential := 'key:' || api_key.id;
            name := api_key.name;
            budget := api_key.monthly_budget;
            key_models := api_key.allowed_models;
            last_used_at := api_key.last_used_at;
            rpm := api_key.requests_per_minute;
            tpm := api_key.tokens_per_minute;
            concurrent := api_key.max_concurrent;
        ELSIF owner.family IS NOT NULL THEN
            SELECT 'device:' || replace(s.token_family::text, '-', ''), s.name, s.monthly_budget,
                   s.last_used_at, s.requests_per_minute, s.tokens_per_minute, s.max_concurrent
              INTO credential, name, budget, last_used_at, rpm, tpm, concurrent
              FROM device_sessions s
             WHERE s.user_id = owner.account AND s.token_family = owner.family
               AND s.revoked_at IS NULL;
        END IF;
        refusal := CASE
            WHEN owner.family IS NOT NULL AND credential IS NULL THEN 'invalid_token'
            WHEN NOT ('llm:chat' = ANY (string_to_array(owner.scope, ' ')))
                THEN 'insufficient_scope'
            END;
        credential := COALESCE(credential, '');
    END IF;
    IF id IS NULL THEN
        refusal := 'invalid_token';
    END IF;
END $$;

-- Finds the active model with this name (or the first active model, if `p_name` is NULL) that an
-- active provider serves. `prices` has its prices that have columns in `completions`, `extras` all
-- others, and `targets` the providers that serve it on this route as a JSON array. `p_price` and
-- `p_longest` are the defaults for a model without its own. `extra` is what a request costs besides
-- its tokens, in thousandths of a credit. `first_byte_seconds` and `idle_seconds` are the longest
-- waits that its providers have of their own. Of what it can do, NULL is unknown. `refusal` is
-- NULL, model_not_found, model_without_price or route_not_served.
CREATE OR REPLACE FUNCTION gateway_model(
    p_name text, p_endpoint text, p_price numeric, p_longest integer,
    OUT id bigint, OUT name text, OUT refusal text, OUT prices jsonb, OUT extras jsonb,
    OUT prompt numeric, OUT dearest_prompt numeric, OUT dearest_completion numeric,
    OUT extra numeric, OUT long_from bigint, OUT longest integer, OUT targets json,
    OUT first_byte_seconds integer, OUT idle_seconds integer,
    OUT sees_images boolean, OUT hears_audio boolean, OUT calls_tools boolean,
    OUT context_tokens integer
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    has_extras boolean;
BEGIN
    SELECT m.id, m.name, gateway_prices(m, p_price), gateway_has_extras(m),
           COALESCE(m.prompt_price, p_price),
           gateway_dearest_prompt(m, p_price), gateway_dearest_completion(m, p_price),
           LEAST(COALESCE(m.max_output_tokens, p_longest), m.context_tokens),
           m.sees_images, m.hears_audio, m.calls_tools, m.context_tokens
      INTO gateway_model.id, gateway_model.name, prices, has_extras, prompt,
           dearest_prompt, dearest_completion, longest, sees_images, hears_audio, calls_tools,
           context_tokens
      FROM language_models m
     WHERE m.is_active AND (m.name = p_name OR p_name IS NULL)
       AND EXISTS (SELECT FROM llm_deployments d JOIN llm_providers v ON v.id = d.provider_id
                    WHERE d.model_id = m.id AND d.is_active AND v.is_active)
     ORDER BY m.id LIMIT 1;
    extra := 0;
    IF has_extras THEN  -- a statement of its own, because few models have any
        SELECT gateway_extras(m, p_price), COALESCE(m.request_price * 1000, 0), m.long_from_tokens
          INTO extras, extra, long_from FROM language_models m WHERE m.id = gateway_model.id;
    END IF;
    -- A null member is left out: a worker of the version before does not know a new member.
    SELECT json_agg(json_strip_nulls(json_build_object(
               'deployment', d.id, 'limit_spelling', NULLIF(d.limit_spelling, 'auto'),
               'refused', CASE WHEN d.refused_at > clock_timestamp() - make_interval(days => 1)
                               THEN d.refused_parameters END,
               'provider', v.id, 'slug', v.slug, 'base_url', v.base_url,
               'encrypted_key', v.encrypted_key,
               'key_header', COALESCE(NULLIF(v.own_key_header, ''), v.key_header),
               'proxy', NULLIF(v.proxy, ''),
               'encrypted_proxy_login', NULLIF(v.encrypted_proxy_login, ''),
               'upstream_name', d.upstream_name, 'order', d."order", 'weight', d.weight,
               'provider_prices', d.provider_prices::text,
               'connect_seconds', v.connect_seconds, 'first_byte_seconds', v.first_byte_seconds,
               'idle_seconds', v.idle_seconds, 'on_disconnect', v.on_disconnect,
               'drain_seconds', v.drain_seconds, 'failures', v.failures,
               'is_cooling', COALESCE(v.cooling_until > clock_timestamp(), false),
               'forwarded_parameters', NULLIF(v.forwarded_parameters, '{}')))),
           max(v.first_byte_seconds), max(v.idle_seconds)
      INTO targets, first_byte_seconds, idle_seconds
      FROM llm_deployments d JOIN llm_providers v ON v.id = d.provider_id
     WHERE d.model_id = gateway_model.id AND d.is_active AND v.is_active
       AND p_endpoint = ANY (v.endpoints);
    refusal := CASE WHEN gateway_model.id IS NULL THEN 'model_not_found'
                    WHEN dearest_prompt IS NULL OR dearest_completion IS NULL
                        THEN 'model_without_price'
                    WHEN targets IS NULL THEN 'route_not_served' END;
END $$;

-- Checks `p_requests` more requests and `p_tokens` more tokens against the limits per minute of a
-- user (empty `p_credential`), device or key, without storing anything. `rate` is the row to store
-- if they are counted, `said` describes both limits, and `refusal` is NULL, requests or tokens.
CREATE OR REPLACE FUNCTION gateway_rates(
    p_account bigint, p_credential text, p_rpm bigint, p_tpm bigint, p_requests integer,
    p_tokens bigint, p_now timestamptz, OUT rate llm_rates, OUT refusal text, OUT said json
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
    refusal := CASE WHEN NOT requests.allowed THEN 'requests'
                    WHEN NOT tokens.allowed THEN 'tokens' END;
    said := json_build_object('credential', p_credential, 'requests', requests.said,
                              'tokens', tokens.said);
END $$;

-- Describes the limits of the user and of the device or key for a response that counts nothing: a
-- refusal or a repeated response.
CREATE OR REPLACE FUNCTION gateway_uncounted(caller record, account record, p_now timestamptz)
RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN json_build_array(
        (gateway_rates(caller.id, '', account.rpm, account.tpm, 0, 0, p_now)).said,
        (gateway_rates(caller.id, caller.credential, caller.rpm, caller.tpm, 0, 0, p_now)).said);
END $$;

-- Looks up an Idempotency-Key for a request with the digest `p_digest`. Returns NULL if the
-- request may run. Otherwise `refusal` is other_request (the digest differs), still_running,
-- answered, or answered_once (the answer was not kept); `bill` is [charged, balance after] of the
-- first completion. A key is forgotten after `p_seconds`.
CREATE OR REPLACE FUNCTION gateway_known(
    p_account bigint, p_key text, p_digest text, p_reference text, p_seconds integer,
    p_now timestamptz
) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    stored llm_idempotency_keys;
BEGIN
    SELECT * INTO stored FROM llm_idempotency_keys k
     WHERE COALESCE(k.user_id, 0) = COALESCE(p_account, 0) AND k.key = p_key;
    IF stored.id IS NULL OR stored.generation_id = p_reference
       OR stored.created_at + make_interval(secs => p_seconds) <= p_now
       OR stored.running_until <= p_now THEN
        RETURN NULL;
    END IF;
    RETURN json_build_object(
        'refusal', CASE WHEN stored.digest <> p_digest THEN 'other_request'
                        WHEN stored.running_until IS NOT NULL THEN 'still_running'
                        WHEN stored.answer = '' THEN 'answered_once'
                        ELSE 'answered' END,
        'generation_id', stored.generation_id, 'answer', stored.answer,
        'bill', (SELECT json_build_array(c.charged, c.balance_after) FROM completions c
                  WHERE c.user_id IS NOT DISTINCT FROM p_account
                    AND c.generation_id = stored.generation_id));
END $$;

-- Admits a completion. The keys of `p` and of the result are in llmproxy/database/contract.py: the
-- result has a `refusal`, or everything that the completion needs.
CREATE OR REPLACE FUNCTION gateway_admit(p jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    caller record;
    account record;
    model record;
    dear record;
    request record;
    counted record;
    held record;
    hold credit_holds;
    repetition json;
    v_now timestamptz := clock_timestamp();
    v_rates llm_rates[] := '{}';
    v_limits json[] := '{}';  -- how much is left of each limit, for the response headers
    v_prompt_bound bigint;  -- tokens: the prompt cannot have more than these
    v_prompt_estimate bigint;  -- tokens
    v_completion_limit bigint;  -- tokens of one choice
    v_least_credits bigint := 0;  -- without these the completion is refused
    v_most_credits bigint := 0;  -- the completion cannot cost more
    v_affordable_tokens bigint;
    v_lack text;  -- what the request needs and the model cannot do
    -- What the completion costs besides its tokens, at least and at most: thousandths of a credit.
    v_least_extra numeric;
    v_most_extra numeric;
BEGIN
    SELECT * INTO request FROM jsonb_to_record(p) AS a(
        checksum text, is_key boolean, "user" bigint, is_backend boolean, model text, endpoint text,
        price numeric, longest integer, prompt_bytes bigint, prompt_tokens bigint, media jsonb,
        writes_1h boolean, choices integer, max_tokens bigint, rpm bigint,
        tpm bigint, max_open integer, least bigint, most bigint, reference text, seconds integer,
        key text, digest text, key_seconds integer, note_seconds integer, least_tokens integer,
        first_byte_seconds numeric, completion_seconds numeric, needs text[],
        certain_tokens bigint);
    caller := gateway_caller(request.checksum, request.is_key, request."user");
    IF caller.refusal IS NOT NULL AND NOT request.is_backend THEN
        RETURN json_build_object('refusal', caller.refusal);
    END IF;
    -- Concurrent calls for the same user wait here for the lock, and then see what this call wrote.
    SELECT pl.allowed_models,
           COALESCE(u.max_concurrent, pl.max_concurrent, request.max_open) AS concurrent,
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
    -- This comes after the check of the allowed models, so that a key does not get the answers of
    -- a model that it may not use, and before model.refusal, so that the answers of a model that
    -- is no longer served can still be repeated.
    IF request.key IS NOT NULL THEN
        repetition := gateway_known(caller.id, request.key, request.digest, request.reference,
                                    request.key_seconds, v_now);
        IF repetition IS NOT NULL THEN
            RETURN repetition::jsonb
                   || jsonb_build_object('rates', gateway_uncounted(caller, account, v_now));
        END IF;
    END IF;
    IF model.refusal IS NOT NULL THEN
        RETURN json_build_object('refusal', model.refusal);
    END IF;
    v_lack := CASE
        WHEN request.certain_tokens > model.context_tokens THEN 'context'
        WHEN request.needs IS NULL THEN NULL
        WHEN NOT model.sees_images AND 'images' = ANY (request.needs) THEN 'images'
        WHEN NOT model.hears_audio AND 'audio' = ANY (request.needs) THEN 'audio'
        WHEN NOT model.calls_tools AND 'tools' = ANY (request.needs) THEN 'tools' END;
    IF v_lack IS NOT NULL THEN
        RETURN json_build_object('refusal', 'model_lacks', 'model', model.name, 'lack', v_lack,
                                 'context_tokens', model.context_tokens);
    END IF;
    v_prompt_bound := request.prompt_bytes;
    v_prompt_estimate := request.prompt_tokens;
    v_least_extra := model.extra;
    v_most_extra := model.extra;
    IF request.media IS NOT NULL OR request.writes_1h OR v_prompt_bound >= model.long_from THEN
        dear := gateway_dear(model.id, request.price, request.media, request.writes_1h,
                             v_prompt_bound, v_prompt_estimate);
        v_prompt_bound := dear.bound;
        v_prompt_estimate := dear.estimate;
        v_least_extra := v_least_extra + dear.least_extra;
        v_most_extra := v_most_extra + dear.most_extra;
        model.prompt := dear.prompt;
        model.dearest_prompt := dear.dearest_prompt;
        model.dearest_completion := dear.dearest_completion;
    END IF;
    v_completion_limit := LEAST(request.max_tokens, model.longest);
    -- `seconds` has room for the default waits; a provider that may take longer needs more.
    request.seconds := request.seconds
        + GREATEST(COALESCE(model.first_byte_seconds, 0) - request.first_byte_seconds, 0)
        + GREATEST(COALESCE(model.idle_seconds, 0) - request.completion_seconds, 0);
    IF caller.id IS NOT NULL THEN
        counted := gateway_rates(caller.id, '', account.rpm, account.tpm, 1,
                                 v_prompt_estimate + v_completion_limit * request.choices, v_now);
        v_rates := v_rates || counted.rate;
        v_limits := v_limits || counted.said;
        IF counted.refusal IS NULL AND (caller.rpm IS NOT NULL OR caller.tpm IS NOT NULL) THEN
            counted := gateway_rates(
                caller.id, caller.credential, caller.rpm, caller.tpm, 1,
                v_prompt_estimate + v_completion_limit * request.choices, v_now);
            v_rates := v_rates || counted.rate;
            v_limits := v_limits || counted.said;
        END IF;
        IF counted.refusal IS NOT NULL THEN
            RETURN json_build_object(
                'refusal', 'too_many_' || counted.refusal, 'refused', counted.said,
                'name', caller.name, 'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        IF caller.concurrent <= (
            SELECT count(*) FROM credit_holds h
             WHERE h.user_id = caller.id AND h.state = 'open'
               AND h.credential = caller.credential AND h.expires_at > v_now) THEN
            RETURN json_build_object(
                'refusal', 'too_many_running', 'credential', caller.credential,
                'name', caller.name, 'limit', caller.concurrent,
                'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        IF model.dearest_prompt + model.dearest_completion + v_most_extra > 0 THEN
            -- A completion of one token is admitted at the plain price of the prompt. If more
            -- tokens are required (`least_tokens`), the credits have to suffice for them after a
            -- prompt at its dearest price.
            v_least_credits := GREATEST(request.least, ceil((
                v_prompt_estimate * CASE WHEN request.least_tokens > 1 THEN model.dearest_prompt
                                         ELSE model.prompt END
                + LEAST(v_completion_limit, COALESCE(request.least_tokens, 1)) * request.choices
                  * model.dearest_completion + v_least_extra) / 1000));
        END IF;
        v_most_credits := LEAST(GREATEST(v_least_credits, ceil((
            v_prompt_bound * model.dearest_prompt
            + v_completion_limit * request.choices * model.dearest_completion
            + v_most_extra) / 1000)),
            request.most);
        held := ledger_hold(
            caller.id, v_most_credits, LEAST(v_least_credits, v_most_credits), request.reference,
            request.seconds, account.concurrent, caller.credential, caller.budget);
        IF held.refusal = 'budget_used_up' THEN
            held.available := GREATEST(LEAST(
                held.available, caller.budget - (held.counted).held - (held.counted).spent), 0);
        END IF;
        hold := held.hold;
        v_affordable_tokens := CASE WHEN model.dearest_completion > 0 THEN
            floor(GREATEST(COALESCE(hold.amount, held.available) * 1000
                           - v_prompt_estimate * model.dearest_prompt - v_least_extra, 0)
                  / model.dearest_completion) END;
        IF held.refusal IS NOT NULL THEN
            RETURN json_build_object(
                'refusal', held.refusal, 'required', LEAST(v_least_credits, v_most_credits),
                'available', held.available, 'affordable_tokens', v_affordable_tokens,
                'credential', caller.credential, 'name', caller.name,
                'budget', caller.budget, 'spent', (held.counted).spent,
                'held', (held.counted).held, 'month', (held.counted).month,
                'limit', account.concurrent,
                'rates', gateway_uncounted(caller, account, v_now));
        END IF;
        INSERT INTO llm_rates (user_id, credential, requests, tokens)
        SELECT r.user_id, r.credential, r.requests, r.tokens FROM unnest(v_rates) r
            ON CONFLICT (user_id, credential)
            DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens;
    END IF;
    IF request.key IS NOT NULL THEN
        INSERT INTO llm_idempotency_keys AS k
            (user_id, key, digest, generation_id, running_until, created_at)
        VALUES (caller.id, request.key, request.digest, request.reference,
                v_now + make_interval(secs => request.seconds), v_now)
            ON CONFLICT (COALESCE(user_id, 0), key) DO UPDATE
           SET digest = excluded.digest, generation_id = excluded.generation_id,
               running_until = excluded.running_until, created_at = excluded.created_at, answer = ''
         WHERE k.generation_id = excluded.generation_id
            OR k.created_at + make_interval(secs => request.key_seconds) <= v_now
            OR k.running_until <= v_now;
        IF NOT FOUND THEN
            -- Another call took the key after gateway_known. Only calls without a user can get
            -- here, because calls with a user wait above for the lock of the user.
            RETURN json_build_object('refusal', 'still_running', 'generation_id', '', 'answer', '',
                                     'bill', NULL, 'rates', '[]'::json);
        END IF;
    END IF;
    IF caller.credential <> '' AND COALESCE(caller.last_used_at, '-infinity')
       <= v_now - make_interval(secs => request.note_seconds) THEN
        PERFORM gateway_note_use(caller.id, caller.credential, v_now);
    END IF;
    RETURN json_build_object(
        'account', caller.id, 'credential', caller.credential, 'name', caller.name,
        'model', model.name, 'prices', model.prices, 'extras', model.extras,
        'targets', model.targets,
        'prompt_tokens', v_prompt_estimate, 'certain_tokens', v_prompt_bound,
        'longest', v_completion_limit, 'affordable', v_affordable_tokens / request.choices,
        'hold', hold.id, 'held', hold.amount, 'rates', v_limits);
END $$;

-- Writes the time of last use of a device or key. Callers do this once per interval, not with every
-- call.
CREATE OR REPLACE FUNCTION gateway_note_use(p_account bigint, p_credential text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id text := split_part(p_credential, ':', 2);
BEGIN
    IF starts_with(p_credential, 'key:') THEN
        UPDATE api_keys SET last_used_at = p_now WHERE user_id = p_account AND id = v_id::bigint;
    ELSE
        UPDATE device_sessions SET last_used_at = p_now
         WHERE user_id = p_account AND token_family = v_id::uuid;
    END IF;
END $$;

-- Finds the caller of a route that starts no completion, and writes the time of last use if it is
-- older than `p_seconds`.
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
       AND COALESCE(caller.last_used_at, '-infinity')
           <= clock_timestamp() - make_interval(secs => p_seconds) THEN
        PERFORM gateway_note_use(caller.id, caller.credential, clock_timestamp());
    END IF;
END $$;
