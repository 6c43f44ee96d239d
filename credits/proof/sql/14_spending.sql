-- The held and spent credits of a device or key in a month are those of its holds of that month.
SELECT user_id, format('%%s is counted with %%s held and %%s spent in the month of %%s, '
                       'but its holds say %%s and %%s',
                       credential, COALESCE(s.held, 0), COALESCE(s.spent, 0), month,
                       COALESCE(h.held, 0), COALESCE(h.spent, 0)),
       format('no entry: as the owner of the tables, set held %%s, spent %%s',
              COALESCE(h.held, 0), COALESCE(h.spent, 0))
  FROM (SELECT user_id, credential, month, held, spent FROM credit_spending
         WHERE user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1) s
  FULL JOIN (SELECT user_id, credential,
                    date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month,
                    sum(amount) FILTER (WHERE state = 'open') AS held, sum(captured) AS spent
               FROM credit_holds
              WHERE user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1 AND credential <> ''
              GROUP BY 1, 2, 3) h USING (user_id, credential, month)
 WHERE (COALESCE(s.held, 0), COALESCE(s.spent, 0)) <> (COALESCE(h.held, 0), COALESCE(h.spent, 0))
