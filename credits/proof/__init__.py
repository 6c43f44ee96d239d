"""Proof that the ledger is right: audit of all invariants, replay on a ledger in memory, statements
that others can check.

Nothing here changes a balance.
"""
