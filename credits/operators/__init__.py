"""What administrators do to the ledger, each act with its reason and log entry, and the approval by
a second administrator.

Their pages are in admin/pages/.
"""
