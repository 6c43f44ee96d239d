-- Finds the active user that owns an access token or an API key, by the checksum of the secret.
-- `account` is NULL if the credential is unknown, revoked or expired, or if its user is not active.
-- For an API key, `key` is its row. For an access token, `token` is its id, `scope` its scopes, and
-- `family` the token family of its refresh token (NULL if it has none).
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
