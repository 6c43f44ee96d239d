"""Alerts: their kinds, users' choices, and how mails and webhook messages are made.

The ledger finds what concerns the balance; other kinds are found where they happen. The pages are
in accounts/notices/.
"""
