"""Money that goes back: refunds, disputes, fraud warnings, and what they do to the ledger."""
