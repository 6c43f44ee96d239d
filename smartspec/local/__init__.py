"""What exists on one machine only: the launcher of `make run`, the embedded PostgreSQL, the local
model, development defaults."""
