"""The gateway's two statements as functions of PostgreSQL (sql/), and the audit of what completions
were charged (audit/)."""
