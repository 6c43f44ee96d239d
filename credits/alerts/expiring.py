"""Find credits that expire soon and would probably not be used before.

Each user is checked once for each day of expiry and each of STAGES. A row is written each time,
also if no alert is needed, so that the check is not repeated.
"""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

STAGES = (1, 7)  # days before the expiry
LEAST = 100  # credits: fewer do not matter
PACE_DAYS = 7  # the use of these last days is expected to go on
MOST = 1000  # users of one round
ROWS = 50_000  # transactions of a user that are looked at

# What is pinned belongs to running completions. A day of expiry is a day in UTC. What the user
# would spend by then is taken from what expires, because what expires first is spent first.
_FIND = """
WITH due AS (
    SELECT user_id, (expires_at AT TIME ZONE 'UTC')::date AS day, min(expires_at) AS first,
           sum(remaining - pinned)::bigint AS amount
      FROM credit_grants
     WHERE is_live AND expires_at > %(now)s AND expires_at <= %(until)s
     GROUP BY 1, 2
), new AS (
    SELECT due.*, format('expiring:%%s:%%s', %(stage)s::int, day) AS key FROM due
     WHERE NOT EXISTS (SELECT FROM account_alerts a WHERE a.user_id = due.user_id
                         AND a.key = format('expiring:%%s:%%s', %(stage)s::int, due.day))
     ORDER BY first LIMIT %(most)s
), judged AS (
    SELECT new.*, amount - COALESCE((
               SELECT -sum(t.amount) FROM credit_transactions t
                WHERE t.user_id = new.user_id AND t.type = 'usage' AND t.created_at > %(pace)s
                  AND t.seq > (SELECT ledger_seq FROM users WHERE id = new.user_id) - %(rows)s
           ), 0) * extract(epoch FROM first - %(now)s) / %(pace_seconds)s AS left_over
      FROM new
)
INSERT INTO account_alerts (user_id, kind, key, facts, sent_at, silent_because)
SELECT user_id, 'expiring', key,
       jsonb_build_object('credits', amount, 'days', %(stage)s::int, 'expires_at', first),
       CASE WHEN left_over < %(least)s THEN %(now)s::timestamptz END,
       CASE WHEN left_over < %(least)s THEN 'used_before' ELSE '' END
  FROM judged
    ON CONFLICT (user_id, key) DO NOTHING
"""


def find_expiring() -> int:
    """Write the alerts about credits that expire soon; return how many users were looked at."""
    now = timezone.now()
    found = 0
    for stage in STAGES:
        parameters: dict[str, Any] = {
            "now": now,
            "until": now + timedelta(days=stage),
            "stage": stage,
            "pace": now - timedelta(days=PACE_DAYS),
            "pace_seconds": PACE_DAYS * 24 * 60 * 60,
            "least": LEAST,
            "most": MOST,
            "rows": ROWS,
        }
        with connection.cursor() as cursor:
            cursor.execute(_FIND, parameters)
            found += cursor.rowcount
    return found
