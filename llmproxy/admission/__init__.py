"""May this completion run, and what is held for it: callers, the admitting statement, its refusals,
idempotency.

What happens afterwards is in completion/.
"""
