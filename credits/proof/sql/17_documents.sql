-- Documents of a kind and year are numbered from 1 without gaps, up to their counter.
SELECT d.user_id, format('document %%s has the serial number %%s of %%s %%s, and %%s is missing',
                         d.number, d.serial, d.kind, d.year, d.serial - 1),
       format('restore number %%s from a backup', d.serial - 1)
  FROM documents d
 WHERE d.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1 AND d.serial <> 1
   AND NOT EXISTS (SELECT FROM documents other
                    WHERE other.kind = d.kind AND other.year = d.year
                      AND other.serial = d.serial - 1)
UNION ALL
SELECT d.user_id, format('document %%s has the last serial number of %%s %%s, %%s, '
                         'but %%s are counted',
                         d.number, d.kind, d.year, d.serial, COALESCE(c.last, 0)),
       CASE WHEN c.last > d.serial
            THEN format('restore numbers %%s to %%s from a backup', d.serial + 1, c.last)
            ELSE format('as the owner of the tables, set the counter to %%s', d.serial) END
  FROM documents d
  LEFT JOIN document_counters c ON c.kind = d.kind AND c.year = d.year
 WHERE d.user_id BETWEEN %(first)s AND %(last)s AND %(low)s = 1
   AND c.last IS DISTINCT FROM d.serial
   AND NOT EXISTS (SELECT FROM documents other
                    WHERE other.kind = d.kind AND other.year = d.year AND other.serial > d.serial)
UNION ALL
-- A counter without documents belongs to nobody. The first user of the table stands for it.
SELECT u.id, format('%%s documents %%s %%s are counted, but there is none', c.last, c.kind, c.year),
       'restore the documents from a backup'
  FROM document_counters c
  JOIN (SELECT min(id) AS id FROM users) u ON u.id BETWEEN %(first)s AND %(last)s
 WHERE %(low)s = 1 AND c.last > 0
   AND NOT EXISTS (SELECT FROM documents d WHERE d.kind = c.kind AND d.year = c.year)
