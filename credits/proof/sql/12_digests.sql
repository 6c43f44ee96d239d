-- No transaction was changed or deleted: its digest is that of the previous digest and its columns.
WITH posted AS (
    SELECT *, COALESCE(lag(digest) OVER (PARTITION BY user_id ORDER BY seq), '') AS digest_before
      FROM credit_transactions
     WHERE user_id BETWEEN %(first)s AND %(last)s AND seq BETWEEN %(low)s - 1 AND %(high)s
)
SELECT user_id,
       format('transaction %%s (id %%s) is not what was written: %%s of %%s credits, "%%s"',
              seq, id, type, amount, description),
       'restore the row from a backup or from the user''s statement; '
       'amounts are checked on their own'
  FROM posted
 WHERE seq >= %(low)s AND op > 0
   AND digest <> sha256(digest_before || convert_to(json_build_array(
           user_id, seq, op, type, amount, balance_after, debt, debt_after, description,
           metadata::text, reference_id, idempotency_key,
           (extract(epoch FROM created_at) * 1000000)::bigint, actor_id, hold_id, reverses_id,
           expired_grant_id)::text, 'UTF8'))
UNION ALL
SELECT u.id, 'the digest of the user is not that of the last row',
       'no entry: a row after the last one is gone, or was added'
  FROM users u LEFT JOIN credit_transactions t ON t.user_id = u.id AND t.seq = u.ledger_seq
 WHERE u.id BETWEEN %(first)s AND %(last)s AND u.ledger_digest <> COALESCE(t.digest, '')
