"""The jobs of `manage.py tick`, by the names of their commands.

Each may run twice at once, and again at any time: a process that was stopped for longer than its
lease does no harm when it goes on.
"""

LEASE = "tick"
# A process that ends without giving its lease back keeps the others waiting for so long. Each job
# renews it.
LEASE_SECONDS = 300
OF_EACH_MACHINE = "settle_spool"  # What waits is on this machine's disk, so no lease is needed.
OF_ONE_MACHINE = (
    "expire_holds",
    "grant_allowances",
    "run_refills",
    "sync_subscriptions",
    "find_expiring",
    "send_alerts",
    "send_mail",
    "send_webhooks",
    "purge_device_codes",
    "purge_api_keys",
    "purge_unverified",
    "purge_auth_events",
    "purge_alerts",
    "clearsessions",
    "forget_idle",
    "settle_purchases",
    "settle_refunds",
    "fold_usage",
    "find_unusual",
    "audit_daily",
)
# With --loop, these are done every SHORT_SECONDS besides: a minute is long for somebody who has
# just run out of credits. A long job of the minute does not hold them up.
SHORT_LEASE = "tick_short"
SHORT_SECONDS = 10
OFTEN = ("run_refills", "send_alerts", "send_mail", "send_webhooks")
