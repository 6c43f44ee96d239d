-- The reversals of a payment took their share of its credits, and each row of them is known.
WITH held AS (
    -- What each reversal has taken and not given back, and our refunds that Stripe has not named.
    SELECT r.purchase_id, r.stripe_id AS name, r.taken_id, r.credits,
           CASE WHEN r.is_in_force THEN r.amount ELSE 0 END AS amount, false AS is_under_way
      FROM payment_reversals r JOIN purchases p ON p.id = r.purchase_id
     WHERE p.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
       AND (r.is_in_force OR r.taken_id IS NOT NULL AND r.given_back_id IS NULL)
    UNION ALL
    SELECT f.purchase_id, f.public_id, f.transaction_id, f.credits, f.amount, true
      FROM payment_refunds f JOIN purchases p ON p.id = f.purchase_id
     WHERE p.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
       AND f.state IN ('taken', 'sent', 'accepted')
       AND NOT EXISTS (SELECT FROM payment_reversals r WHERE r.refund_id = f.id)
), shares AS (
    SELECT p.id, p.user_id, p.public_id, p.credits, p.transaction_id,
           COALESCE(sum(CASE WHEN h.taken_id IS NULL THEN 0 ELSE h.credits END), 0) AS taken,
           COALESCE(sum(h.amount), 0) AS amount,
           LEAST(COALESCE(sum(h.amount), 0), p.total) / GREATEST(p.total, 1)::numeric AS share,
           count(*) FILTER (WHERE h.is_under_way) AS under_way, count(h.name) AS reversals,
           p.credits - ledger_refundable(p.user_id, p.transaction_id) AS reversed
      FROM purchases p LEFT JOIN held h ON h.purchase_id = p.id
     WHERE p.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
       AND p.transaction_id IS NOT NULL
     GROUP BY p.id
)
SELECT h.user_id, format('reversal %%s of purchase %%s has taken %%s credits, '
                         'but transaction %%s took %%s that are still taken',
                         h.name, h.public_id, h.credits, COALESCE(t.id::text, 'none'),
                         COALESCE(ledger_refundable(t.user_id, t.id), 0)),
       'check the purchase again'
  FROM (SELECT h.*, s.user_id, s.public_id, s.transaction_id
          FROM held h JOIN shares s ON s.id = h.purchase_id) h
  LEFT JOIN credit_transactions t
         ON t.id = h.taken_id AND t.user_id = h.user_id AND t.reverses_id = h.transaction_id
 WHERE h.credits > 0 AND h.taken_id IS NOT NULL
   AND ledger_refundable(t.user_id, t.id) IS DISTINCT FROM h.credits
UNION ALL
SELECT p.user_id, format('reversal %%s of purchase %%s was given back by transaction %%s, '
                         'which does not reverse transaction %%s',
                         r.stripe_id, p.public_id, r.given_back_id,
                         COALESCE(r.taken_id::text, 'none')),
       'check the purchase again'
  FROM payment_reversals r
  JOIN purchases p ON p.id = r.purchase_id
  LEFT JOIN credit_transactions t ON t.id = r.given_back_id
 WHERE p.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
   AND r.given_back_id IS NOT NULL AND t.reverses_id IS DISTINCT FROM r.taken_id
UNION ALL
-- While a refund is under way, the share of the others may be rounded the other way. Credits that
-- were refunded without money do not belong to the payment any more.
SELECT s.user_id, format('%%s of %%s of purchase %%s went back, and with it %%s of %%s credits; '
                         'the ledger took %%s',
                         s.amount, p.total, s.public_id, s.taken, s.credits, s.reversed),
       format('check the purchase again: its reversals take %%s credits',
              floor(s.share * s.credits))
  FROM shares s JOIN purchases p ON p.id = s.id
 WHERE s.taken > s.reversed
    OR s.taken > floor(s.share * s.credits) + CASE WHEN s.under_way > 0 THEN s.reversals ELSE 0 END
    OR s.taken < floor(s.share * (s.credits - GREATEST(s.reversed - s.taken, 0)))
                 - CASE WHEN s.under_way > 0 THEN s.reversals ELSE 0 END
UNION ALL
SELECT t.user_id, format('transaction %%s (id %%s) takes %%s credits of purchase %%s back, '
                         'and no refund or dispute names it',
                         t.seq, t.id, ledger_refundable(t.user_id, t.id), p.public_id),
       format('check the purchase again, or a correction of %%s credits',
              ledger_refundable(t.user_id, t.id))
  FROM purchases p JOIN credit_transactions t ON t.reverses_id = p.transaction_id
 WHERE p.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
   AND t.idempotency_key !~ '^(admin|approval):'
   AND ledger_refundable(t.user_id, t.id) > 0
   AND NOT EXISTS (SELECT FROM held h WHERE h.taken_id = t.id)
