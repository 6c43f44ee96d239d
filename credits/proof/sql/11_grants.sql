-- Every credit belongs to a grant: what the grants have left is what the transactions left of them.
SELECT u.id, format('the balance is %%s, but the grants have %%s left',
                    u.credits, COALESCE(g.remaining, 0)),
       format('no entry: the grants are %%s credits off', u.credits - COALESCE(g.remaining, 0))
  FROM users u
  LEFT JOIN (SELECT user_id, sum(remaining) AS remaining FROM credit_grants
              WHERE is_live AND user_id BETWEEN %(first)s AND %(last)s
              GROUP BY user_id) g ON g.user_id = u.id
 WHERE u.id BETWEEN %(first)s AND %(last)s AND u.credits <> COALESCE(g.remaining, 0)
UNION ALL
SELECT g.user_id, format('grant %%s brought %%s credits and has %%s left, '
                         'but %%s were taken from it',
                         g.id, g.amount, g.remaining, -COALESCE(a.amount, 0)),
       format('no entry: grant %%s should have %%s left', g.id, g.amount + COALESCE(a.amount, 0))
  FROM credit_grants g
  LEFT JOIN (SELECT grant_id, sum(amount) AS amount FROM credit_allocations
              WHERE user_id BETWEEN %(first)s AND %(last)s GROUP BY grant_id) a ON a.grant_id = g.id
 WHERE g.user_id BETWEEN %(first)s AND %(last)s
   AND g.remaining <> g.amount + COALESCE(a.amount, 0)
UNION ALL
SELECT g.user_id, format('%%s credits of grant %%s are pinned, but open holds pin %%s',
                         g.pinned, g.id, COALESCE(p.amount, 0)),
       format('no entry: grant %%s should have %%s pinned', g.id, COALESCE(p.amount, 0))
  FROM credit_grants g
  LEFT JOIN (SELECT pin.key::bigint AS grant_id, sum(pin.value::bigint) AS amount
               FROM credit_holds h, jsonb_each_text(h.pins) pin
              WHERE h.state = 'open' AND h.user_id BETWEEN %(first)s AND %(last)s
              GROUP BY pin.key) p ON p.grant_id = g.id
 WHERE g.user_id BETWEEN %(first)s AND %(last)s AND g.pinned <> COALESCE(p.amount, 0)
UNION ALL
SELECT t.user_id, format('transaction %%s (id %%s) moved %%s, but its grants moved %%s',
                         t.seq, t.id, t.amount, COALESCE(a.amount, 0) + COALESCE(g.amount, 0)),
       format('no entry: allocations of transaction %%s are missing', t.seq)
  FROM credit_transactions t
  LEFT JOIN (SELECT transaction_id, sum(amount) AS amount FROM credit_allocations
              WHERE user_id BETWEEN %(first)s AND %(last)s
              GROUP BY transaction_id) a ON a.transaction_id = t.id
  LEFT JOIN (SELECT transaction_id, sum(amount) AS amount FROM credit_grants
              WHERE user_id BETWEEN %(first)s AND %(last)s
              GROUP BY transaction_id) g ON g.transaction_id = t.id
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.seq BETWEEN %(low)s AND %(high)s
   AND t.op > 0
   AND t.amount <> COALESCE(a.amount, 0) + COALESCE(g.amount, 0)
UNION ALL
SELECT u.id, format('grants expire from %%s on, but the user says %%s',
                    g.soonest, u.grants_expire_at),
       format('no entry: as the owner of the tables, set grants_expire_at %%s', g.soonest)
  FROM users u
  JOIN (SELECT user_id, min(expires_at) AS soonest FROM credit_grants
         WHERE is_live AND user_id BETWEEN %(first)s AND %(last)s
         GROUP BY user_id) g ON g.user_id = u.id
 WHERE g.soonest < COALESCE(u.grants_expire_at, 'infinity')
