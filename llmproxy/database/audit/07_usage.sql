-- The charge of a completion follows from its tokens and prices, and equals its transaction.
SELECT c.user_id, format('completion %%s cost %%s and charged %%s, but its tokens and prices '
                         'make %%s and its row moved %%s',
                         c.generation_id, c.cost, c.charged, c.due, COALESCE(c.moved, 0)),
       format('a refund of %%s credits', c.charged - c.due)
  FROM (SELECT c.user_id, c.generation_id, c.cost, c.charged, c.uncollected, c.hold_id,
               t.amount AS moved, gateway_cost(c) AS due
          FROM completions c
          LEFT JOIN credit_transactions t
                 ON t.user_id = c.user_id AND t.hold_id = c.hold_id AND t.type = 'usage'
         WHERE c.user_id BETWEEN %(first)s AND %(last)s AND c.hold_id IS NOT NULL) c
 WHERE c.cost <> c.due OR c.charged <> -COALESCE(c.moved, 0) OR c.charged + c.uncollected <> c.cost
UNION ALL
SELECT t.user_id, format('transaction %%s (id %%s) charged %%s for %%s, which has no completion',
                         t.seq, t.id, -t.amount, t.reference_id),
       format('a refund of %%s credits', -t.amount)
  FROM credit_transactions t
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.seq BETWEEN %(low)s AND %(high)s
   AND t.type = 'usage'
   AND t.metadata ? 'generationId'
   AND NOT EXISTS (SELECT FROM completions c WHERE c.user_id = t.user_id AND c.hold_id = t.hold_id)
