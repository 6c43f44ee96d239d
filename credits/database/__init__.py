"""The verbs of the ledger as PostgreSQL functions (sql/), and the rights of the application's role.

Python calls these functions only through credits/ledger.py.
"""
