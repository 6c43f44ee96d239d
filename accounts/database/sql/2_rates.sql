-- The generic cell rate algorithm (GCRA, ITU-T I.371): `p_limit` units may come at once, then one
-- unit every `p_period / p_limit` seconds. The state of a limit is one timestamp, `arrival`: the
-- theoretical arrival time, at which the last unit would have come if all had been evenly spaced.

-- Checks `p_cost` more units against a limit without storing anything. `p_period` is in seconds.
-- `arrival` is the state after these units have been counted. `said` describes the limit for the
-- response headers; it is NULL if there is no limit (`p_limit` is NULL).
CREATE OR REPLACE FUNCTION accounts_rate(
    p_arrival timestamptz, p_now timestamptz, p_limit bigint, p_cost bigint,
    p_period double precision,
    OUT arrival timestamptz, OUT allowed boolean, OUT said json
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- All four are in seconds.
    v_unit double precision := p_period / p_limit;
    v_cost double precision := LEAST(p_cost, p_limit) * v_unit;
    v_ahead double precision := GREATEST(COALESCE(EXTRACT(epoch FROM p_arrival - p_now), 0), 0);
    v_most_ahead double precision := p_period + 0.000001;  -- timestamps are rounded to microseconds
BEGIN
    allowed := v_ahead + v_cost <= v_most_ahead;
    arrival := p_now + make_interval(secs => v_ahead + v_cost);
    IF allowed THEN
        v_ahead := v_ahead + v_cost;
    END IF;
    IF p_limit IS NULL THEN
        RETURN;
    END IF;
    said := json_build_object(
        'limit', p_limit, 'remaining', GREATEST(floor((v_most_ahead - v_ahead) / v_unit), 0),
        'reset', round(v_ahead::numeric, 3), 'until', extract(epoch FROM arrival),
        'retry_after', GREATEST(ceil(v_ahead + v_cost - p_period), 1));
END $$;

-- Counts `p_cost` units against the limit of this key if they are allowed; otherwise counts
-- nothing.
CREATE OR REPLACE FUNCTION accounts_take(
    p_key text, p_limit bigint, p_cost bigint, p_period double precision,
    OUT allowed boolean, OUT said json
) LANGUAGE plpgsql AS $$
DECLARE
    v_arrival timestamptz;
    rate record;
BEGIN
    LOOP
        SELECT arrival INTO v_arrival FROM rate_limits WHERE key = p_key FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO rate_limits (key, arrival) VALUES (p_key, clock_timestamp())
            ON CONFLICT (key) DO NOTHING;
    END LOOP;
    rate := accounts_rate(v_arrival, clock_timestamp(), p_limit, p_cost, p_period);
    IF rate.allowed THEN
        UPDATE rate_limits SET arrival = rate.arrival WHERE key = p_key;
    END IF;
    allowed := rate.allowed;
    said := rate.said;
END $$;
