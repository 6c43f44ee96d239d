-- What a prompt costs that is not only short text: it has media, is long, or is kept in a cache for
-- an hour. Other completions do not need this.

-- Returns how many tokens a prompt with `p_bound` and `p_estimate` tokens of text has with its
-- media, at most and probably, and the prices that a hold for it has to cover. `prompt` is the
-- plain price of the estimate, `dearest_…` the highest price that a token can have. `least_extra`
-- and `most_extra` are what media cost beyond that, in thousandths of a credit. `p_media` is the
-- result of Media.describe in llmproxy/metering/media.py, or NULL.
CREATE OR REPLACE FUNCTION gateway_dear(
    p_model bigint, p_price numeric, p_media jsonb, p_writes_1h boolean,
    p_bound bigint, p_estimate bigint,
    OUT bound bigint, OUT estimate bigint, OUT prompt numeric,
    OUT dearest_prompt numeric, OUT dearest_completion numeric,
    OUT least_extra numeric, OUT most_extra numeric
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    m language_models;
    v_is_long boolean;  -- true if the prompt can be long
BEGIN
    SELECT * INTO m FROM language_models WHERE id = p_model;
    SELECT p_bound + COALESCE(sum(rate * most), 0), p_estimate + COALESCE(sum(rate * likely), 0)
      INTO bound, estimate
      FROM gateway_media(m, p_media);
    v_is_long := COALESCE(bound >= m.long_from_tokens, false);
    prompt := CASE WHEN estimate >= m.long_from_tokens THEN gateway_long_prompt(m, p_price)
                   ELSE COALESCE(m.prompt_price, p_price) END;
    dearest_prompt := GREATEST(
        gateway_dearest_prompt(m, p_price),
        CASE WHEN v_is_long THEN gateway_long_dearest_prompt(m, p_price) END,
        CASE WHEN p_writes_1h THEN m.cache_write_1h_price END,
        CASE WHEN p_writes_1h AND v_is_long THEN m.long_cache_write_1h_price END);
    dearest_completion := GREATEST(
        gateway_dearest_completion(m, p_price),
        CASE WHEN v_is_long THEN gateway_long_dearest_completion(m, p_price) END);
    SELECT COALESCE(sum(likely * one), 0), COALESCE(sum(most * one), 0)
      INTO least_extra, most_extra
      FROM (SELECT likely, most, thing * 1000 + rate * GREATEST(
                       part - dearest_prompt,
                       CASE WHEN v_is_long THEN long_part - dearest_prompt END, 0) AS one
              FROM gateway_media(m, p_media)) AS media;
END $$;

-- Lists the media of a prompt with the rates and prices of the model `m`: `rate` tokens each, the
-- price of these tokens (`part`, `long_part`; NULL for that of the prompt), and the price of one
-- `thing` besides.
CREATE OR REPLACE FUNCTION gateway_media(m language_models, p_media jsonb)
RETURNS TABLE (likely bigint, most bigint, rate bigint, part numeric, long_part numeric,
               thing numeric)
LANGUAGE sql STABLE AS $$
    SELECT a.likely, a.most, COALESCE((columns ->> a.rate)::bigint, a.tokens),
           (columns ->> (a.part || '_price'))::numeric,
           (columns ->> ('long_' || a.part || '_price'))::numeric,
           COALESCE((columns ->> (a.thing || '_price'))::numeric, 0)
      FROM jsonb_to_recordset(p_media) AS a(
               rate text, tokens bigint, part text, thing text, likely bigint, most bigint),
           to_jsonb(m) AS columns
$$;
