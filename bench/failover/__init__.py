"""A primary is killed under load and its standby takes over (`python -m bench.failover`).

servers   PostgreSQL servers of one's own, one a copy of the other
"""
