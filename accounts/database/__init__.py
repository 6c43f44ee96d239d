"""The functions of accounts in PostgreSQL (sql/): the owner of a credential, and rate limits."""
