"""The seam to Stripe: the only code that talks to it.

Each function is one call and returns plain dictionaries. What the answers mean is decided in
credits/purchases/ and the wings above it.
"""
