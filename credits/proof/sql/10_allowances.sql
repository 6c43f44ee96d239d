-- A user gets one allowance per plan and month.
SELECT o.user_id,
       format('the allowance %%s was granted %%s times', o.request ->> 'allowance', count(*)),
       'a correction of the credits of the later ones'
  FROM credit_operations o
 WHERE o.user_id BETWEEN %(first)s AND %(last)s AND o.transaction_id IS NOT NULL
   AND o.request ? 'allowance'
 GROUP BY o.user_id, o.request ->> 'allowance' HAVING count(*) > 1
