-- Whose a token or key is: the active user behind its checksum, if it is good now; no account if it is nobody's.
-- `key` is the row of an API key; `token` is the id of an access token, `family` that of its refresh token, if it has one.
CREATE OR REPLACE FUNCTION accounts_credential_owner(
    p_checksum text, p_is_key boolean,
    OUT account bigint, OUT key api_keys, OUT token bigint, OUT scope text, OUT family uuid
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_is_key THEN
        SELECT k.* INTO key
          FROM api_keys k JOIN users u ON u.id = k.user_id
         WHERE k.checksum = p_checksum AND k.revoked_at IS NULL AND u.is_active
           AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp());
        account := key.user_id;
    ELSE
        SELECT u.id, a.id, a.scope, r.token_family INTO account, token, scope, family
          FROM oauth2_provider_accesstoken a
          JOIN users u ON u.id = a.user_id
          LEFT JOIN oauth2_provider_refreshtoken r ON r.access_token_id = a.id
         WHERE a.token_checksum = p_checksum AND a.expires > clock_timestamp() AND u.is_active;
    END IF;
END $$;
