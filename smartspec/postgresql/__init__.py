"""Django's PostgreSQL backend: DATABASE_URL, the pool of connections, and readiness.

The pool recovers at once from a restart of the server.
"""
