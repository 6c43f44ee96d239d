"""The functions of accounts in PostgreSQL (sql/): the owner of a credential, and rate limits.

Also which errors of PostgreSQL mean that it cannot serve (faults.py), and the cache.
"""
