-- A hold captures what its one usage transaction charges, and no more than the cost.
SELECT h.user_id, format('hold %%s is %%s with %%s of a cost of %%s captured, '
                         'but its row (id %%s) moved %%s',
                         h.id, h.state, COALESCE(h.captured, 0), COALESCE(h.cost, 0),
                         COALESCE(t.id::text, 'none'), COALESCE(t.amount, 0)),
       format('a correction of %%s credits', -COALESCE(h.captured, 0) - COALESCE(t.amount, 0))
  FROM credit_holds h
  LEFT JOIN credit_transactions t
         ON t.user_id = h.user_id AND t.hold_id = h.id AND t.type = 'usage'
 WHERE h.user_id BETWEEN %(first)s AND %(last)s
   AND (COALESCE(h.captured, 0) <> -COALESCE(t.amount, 0) OR h.captured > h.cost
        OR h.amount > h.requested OR h.amount < h.at_least)
