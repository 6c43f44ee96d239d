-- A user's balance is the balance after their last transaction, and so the sum of the amounts.
SELECT u.id, format('the balance is %%s and the debt %%s after %%s transactions; '
                    'the last row, number %%s, left %%s and %%s',
                    u.credits, u.credits_debt, u.ledger_seq, COALESCE(t.seq, 0),
                    COALESCE(t.balance_after, 0), COALESCE(t.debt_after, 0)),
       format('the rows are the truth. As the owner of the tables, '
              'set credits %%s, credits_debt %%s, ledger_seq %%s',
              COALESCE(t.balance_after, 0), COALESCE(t.debt_after, 0), COALESCE(t.seq, 0))
  FROM users u
  LEFT JOIN LATERAL (SELECT seq, balance_after, debt_after FROM credit_transactions
                      WHERE user_id = u.id ORDER BY seq DESC LIMIT 1) t ON true
 WHERE u.id BETWEEN %(first)s AND %(last)s
   AND (u.credits, u.credits_debt, u.ledger_seq)
       <> (COALESCE(t.balance_after, 0), COALESCE(t.debt_after, 0), COALESCE(t.seq, 0))
