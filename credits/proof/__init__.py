"""The proof that the ledger is right: an audit of all invariants, a replay, and statements.

Users can check their statement without our software. Nothing in this package changes a balance.
"""
