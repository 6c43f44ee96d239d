-- A paid purchase gave its credits once to its user, and what was paid for has its paid purchase.
SELECT p.user_id, format('purchase %%s is paid with %%s for %%s credits, '
                         'but transaction %%s gave %%s credits for %%s to user %%s',
                         p.public_id, COALESCE(NULLIF(p.reference, ''), 'nothing'), p.credits,
                         COALESCE(t.id::text, 'none'), COALESCE(t.amount, 0),
                         COALESCE(NULLIF(t.reference_id, ''), 'nothing'),
                         COALESCE(t.user_id::text, 'none')),
       CASE WHEN t.id IS NULL
            THEN format('check purchase %%s again, or %%s of %%s credits by %%s',
                        p.public_id, p.type, p.credits, p.reference)
            WHEN t.amount = p.credits
            THEN format('compare purchase %%s with Stripe: payment, invoice, kind or user differ',
                        p.public_id)
            ELSE format('a correction of %%s credits', p.credits - t.amount) END
  FROM (SELECT user_id, public_id, credits, transaction_id,
               CASE kind WHEN 'plan' THEN 'subscription' ELSE 'purchase' END AS type,
               CASE kind WHEN 'plan' THEN invoice ELSE payment_intent END AS reference
          FROM purchases
         WHERE user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1 AND state = 'paid') p
  LEFT JOIN credit_transactions t ON t.id = p.transaction_id
 WHERE (t.user_id, t.type, t.amount, t.reference_id)
       IS DISTINCT FROM (p.user_id, p.type, p.credits, p.reference)
    OR p.reference = ''
UNION ALL
-- Rows that are older than the first purchase come from a time before purchases were kept.
SELECT t.user_id, format('transaction %%s (id %%s) is a %%s of %%s credits by %%s, '
                         'and no paid purchase names it',
                         t.seq, t.id, t.type, t.amount,
                         COALESCE(NULLIF(t.reference_id, ''), 'no payment')),
       format('a refund of transaction %%s, unless Stripe has the payment', t.seq)
  FROM credit_transactions t
 WHERE t.user_id BETWEEN %(first)s AND %(last)s AND t.seq BETWEEN %(low)s AND %(high)s
   AND (t.type = 'purchase' OR t.type = 'subscription' AND t.reference_id <> '')
   AND t.created_at >= (SELECT created_at FROM purchases ORDER BY id LIMIT 1)
   AND NOT EXISTS (SELECT FROM purchases p WHERE p.transaction_id = t.id AND p.state = 'paid')
