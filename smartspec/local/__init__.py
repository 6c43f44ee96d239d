"""What is used on one machine only, for development and tests.

The launcher of `make run`, the embedded PostgreSQL, the local model, a fake Stripe, and development
defaults.
"""
