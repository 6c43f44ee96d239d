"""A drill of buying: processes and PostgreSQL are killed between any two steps of paying.

`python -m bench.purchases` runs it on a scratch database, against the fake Stripe, which remembers.
"""
