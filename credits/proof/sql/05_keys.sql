-- An idempotency key takes effect once: a transaction with a key has exactly one operation.
SELECT t.user_id, format('transaction %%s (id %%s) with the key %%s has %%s operations',
                         t.seq, t.id, t.idempotency_key, count(o.id)),
       format('a correction of %%s credits, if it is a second effect', -t.amount)
  FROM credit_transactions t
  LEFT JOIN credit_operations o
         ON o.user_id = t.user_id AND o.transaction_id = t.id
        AND o.idempotency_key = t.idempotency_key
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.idempotency_key IS NOT NULL
   AND t.seq BETWEEN %(low)s AND %(high)s
 GROUP BY t.user_id, t.seq, t.id, t.idempotency_key, t.amount HAVING count(o.id) <> 1
