-- A used redemption code gave the credits of its batch to its user, and no other row has its key.
SELECT c.user_id, format('code %%s is used, but transaction %%s gave %%s of %%s credits as %%s',
                         c.id, COALESCE(t.id::text, 'none'), COALESCE(t.amount, 0), b.credits,
                         COALESCE(t.type, 'nothing')),
       format('a correction of %%s credits', b.credits - COALESCE(t.amount, 0))
  FROM redemption_codes c
  JOIN code_batches b ON b.id = c.batch_id
  LEFT JOIN credit_transactions t ON t.id = c.transaction_id AND t.user_id = c.user_id
 WHERE c.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
   AND (t.type, t.amount, t.idempotency_key)
       IS DISTINCT FROM ('bonus', b.credits, 'code:' || c.id)
UNION ALL
SELECT t.user_id, format('transaction %%s has the key %%s, and no used code names it',
                         t.seq, t.idempotency_key),
       format('a correction of %%s credits', -t.amount)
  FROM credit_transactions t
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.seq BETWEEN %(low)s AND %(high)s
   AND t.type = 'bonus' AND starts_with(t.idempotency_key, 'code:')
   AND NOT EXISTS (SELECT FROM redemption_codes c
                    WHERE c.user_id = t.user_id AND c.transaction_id = t.id)
