-- The closed quarters of a user's usage are the sums of the completions behind them.
SELECT user_id,
       format('%%s quarters of usage differ from their completions, the first at %%s: it has %%s '
              'answers and %%s credits, its completions %%s and %%s',
              count(*), min(quarter),
              (array_agg(folded ORDER BY quarter))[1], (array_agg(credits ORDER BY quarter))[1],
              (array_agg(answered ORDER BY quarter))[1], (array_agg(charged ORDER BY quarter))[1]),
       'an audit of a database that takes writes, which computes them again'
  FROM (SELECT user_id, quarter,
               COALESCE(sum(is_folded * answers), 0) AS folded,
               COALESCE(sum(is_folded * charged), 0) AS credits,
               COALESCE(sum((1 - is_folded) * answers), 0) AS answered,
               COALESCE(sum((1 - is_folded) * charged), 0) AS charged,
               sum((2 * is_folded - 1) * answers) AS d1, sum((2 * is_folded - 1) * failures) AS d2,
               sum((2 * is_folded - 1) * charged) AS d3,
               sum((2 * is_folded - 1) * uncollected) AS d4,
               sum((2 * is_folded - 1) * tokens) AS d5
          FROM (SELECT user_id, quarter, model, credential, 1 AS is_folded, answers, failures,
                       charged, uncollected, prompt_tokens + cached_tokens + cache_write_tokens
                           + completion_tokens + reasoning_tokens AS tokens
                  FROM usage_quarters
                 WHERE user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
                   AND quarter < (SELECT until FROM usage_folds)
                 UNION ALL
                SELECT user_id, date_bin('15 minutes', created_at, '2000-01-01 00:00:00+00'),
                       model, credential, 0, (status <> 'failed')::int, (status = 'failed')::int,
                       charged, uncollected, prompt_tokens + cached_tokens + cache_write_tokens
                           + completion_tokens + reasoning_tokens
                  FROM completions
                 WHERE user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
                   AND created_at < (SELECT until FROM usage_folds)) both_sides
         GROUP BY user_id, quarter, model, credential) compared
 WHERE d1 <> 0 OR d2 <> 0 OR d3 <> 0 OR d4 <> 0 OR d5 <> 0
 GROUP BY user_id
