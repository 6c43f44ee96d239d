-- Alerts that other functions find. accounts/alerts/ sends them.

-- Writes one alert, which `tick` sends by mail and webhook.
CREATE OR REPLACE FUNCTION accounts_alert(p_account bigint, p_kind text, p_facts jsonb)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO account_alerts (user_id, kind, facts) VALUES (p_account, p_kind, p_facts)
$$;

-- Writes one alert that the credits of a locked account do not suffice, once until credits come.
CREATE OR REPLACE FUNCTION accounts_alert_used_up(
    p_account bigint, p_balance bigint, p_required bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET used_up_armed = false WHERE id = p_account AND used_up_armed;
    IF FOUND THEN
        PERFORM accounts_alert(p_account, 'used_up', jsonb_build_object(
            'balance', p_balance, 'required', p_required));
    END IF;
END $$;
