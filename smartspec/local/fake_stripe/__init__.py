"""A Stripe of our own on this machine, for development and tests: no money moves.

    python -m smartspec.local.fake_stripe --port N

serves Stripe's API with its webhooks and its hosted pages. It knows nothing of this site, and the
site knows only its address (STRIPE_API_BASE). Parameters are checked against the types of the
package `stripe`, and answers have the attributes of its classes. docs/purchases.md tells how to
use it.
"""
