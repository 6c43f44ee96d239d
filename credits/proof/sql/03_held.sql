-- The held credits of a user are the sum of the open holds, and never more than the balance.
SELECT u.id, format('%%s credits are held in %%s holds of a balance of %%s, '
                    'but %%s holds over %%s credits are open',
                    u.credits_held, u.open_holds, u.credits, COALESCE(h.holds, 0),
                    COALESCE(h.amount, 0)),
       format('no entry: as the owner of the tables, set credits_held %%s, open_holds %%s',
              COALESCE(h.amount, 0), COALESCE(h.holds, 0))
  FROM users u
  LEFT JOIN (SELECT user_id, sum(amount) AS amount, count(*) AS holds FROM credit_holds
              WHERE state = 'open' AND user_id BETWEEN %(first)s AND %(last)s
              GROUP BY user_id) h ON h.user_id = u.id
 WHERE u.id BETWEEN %(first)s AND %(last)s
   AND (u.credits_held <> COALESCE(h.amount, 0) OR u.open_holds <> COALESCE(h.holds, 0)
        OR u.credits_held > u.credits)
