"""Decides whether a completion may run, and holds its credits.

In here are the caller, the statement that admits the completion, its refusals and idempotency.
Everything after the admission is in completion/.
"""
