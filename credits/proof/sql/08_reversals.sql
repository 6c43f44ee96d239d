-- A refund names a transaction of the same user; none is reversed by more than its amount.
SELECT t.user_id, format('transaction %%s (id %%s) moved %%s, but %%s of it is reversed',
                         t.seq, t.id, abs(t.amount - t.debt),
                         abs(t.amount - t.debt) - ledger_refundable(t.user_id, t.id)),
       format('a correction of %%s credits', ledger_refundable(t.user_id, t.id) * sign(t.amount))
  FROM (SELECT DISTINCT reverses_id FROM credit_transactions
         WHERE user_id BETWEEN %(first)s AND %(last)s AND reverses_id IS NOT NULL) r
  JOIN credit_transactions t ON t.id = r.reverses_id
 WHERE ledger_refundable(t.user_id, t.id) < 0
UNION ALL
SELECT r.user_id, format('transaction %%s (id %%s) reverses a row that is not this user''s, '
                         'or goes its way, or was given for nothing', r.seq, r.id),
       format('a correction of %%s credits', -r.amount)
  FROM credit_transactions r
  LEFT JOIN credit_transactions t ON t.id = r.reverses_id AND t.user_id = r.user_id
 WHERE r.user_id BETWEEN %(first)s AND %(last)s AND r.type = 'refund'
   AND (t.id IS NULL OR sign(t.amount - t.debt) = sign(r.amount - r.debt)
        OR NOT (t.type IN ('usage', 'refund', 'purchase')
                OR t.type = 'subscription' AND t.reference_id <> ''))
