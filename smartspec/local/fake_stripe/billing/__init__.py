"""Subscriptions, their invoices, months and dunning, and the billing portal."""
