"""The verbs of the ledger as functions of PostgreSQL (sql/), and the rights of the application's
role.

Python calls them through credits/ledger.py alone.
"""
