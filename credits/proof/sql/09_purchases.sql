-- A payment buys credits only once.
SELECT t.user_id, format('transaction %%s (id %%s) is a %%s by payment %%s, '
                         'and so is the one with id %%s',
                         t.seq, t.id, t.type, t.reference_id, other.id),
       format('a refund of transaction %%s', t.seq)
  FROM credit_transactions t
  JOIN credit_transactions other
    ON other.reference_id = t.reference_id AND other.type IN ('purchase', 'subscription')
   AND other.id < t.id
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.type IN ('purchase', 'subscription')
   AND t.reference_id <> ''
