"""What administrators do to the ledger, with a reason and a log entry for each act.

Large amounts need the approval of a second administrator. The pages are in admin/pages/.
"""
