-- A refused operation changed nothing.
SELECT o.user_id, format('%%s %%s was refused, but transaction %%s (id %%s) has its key',
                         o.verb, o.idempotency_key, t.seq, t.id),
       format('a correction of %%s credits', -t.amount)
  FROM credit_operations o
  JOIN credit_transactions t ON t.user_id = o.user_id AND t.idempotency_key = o.idempotency_key
 WHERE o.user_id BETWEEN %(first)s AND %(last)s AND o.refusal IS NOT NULL
   AND NOT EXISTS (SELECT FROM credit_operations p
                    WHERE p.user_id = o.user_id AND p.transaction_id = t.id)
