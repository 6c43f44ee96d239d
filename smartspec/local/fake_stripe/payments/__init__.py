"""Payments and what undoes them: intents, charges, refunds, disputes, early fraud warnings."""
