"""Stripe's objects that others refer to: account, customers, products, methods, events.

In all packages of objects, functions whose first argument is a `Call` answer API requests; the
others change objects for them, for the hosted pages, for the controls and for the clock.
"""
