"""The two statements of the gateway as functions of PostgreSQL (sql/), and the audit of the charges
for completions (audit/)."""
