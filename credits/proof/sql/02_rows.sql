-- The balance after a transaction is the one before it plus its amount; the numbers have no gaps.
WITH posted AS (
    SELECT user_id, id, seq, amount, balance_after, debt, debt_after,
           COALESCE(lag(seq) OVER w, 0) AS seq_before,
           COALESCE(lag(balance_after) OVER w, 0) AS balance_before,
           COALESCE(lag(debt_after) OVER w, 0) AS debt_before
      FROM credit_transactions
     WHERE user_id BETWEEN %(first)s AND %(last)s AND seq BETWEEN %(low)s - 1 AND %(high)s
    WINDOW w AS (PARTITION BY user_id ORDER BY seq)
)
SELECT user_id, format('transaction %%s (id %%s) follows number %%s, which left %%s; '
                       'it moves %%s and leaves %%s',
                       seq, id, seq_before, balance_before, amount, balance_after),
       CASE WHEN seq <> seq_before + 1
            THEN format('rows %%s to %%s are gone: restore them from a backup',
                        seq_before + 1, seq - 1)
            ELSE format('restore the row if invariant 12 names it too, because then it was changed '
                        'after it was written; otherwise a correction of %%s credits',
                        balance_before + amount - balance_after) END
  FROM posted
 WHERE seq >= %(low)s
   AND (seq <> seq_before + 1 OR balance_after <> balance_before + amount
        OR debt_after <> debt_before + debt)
