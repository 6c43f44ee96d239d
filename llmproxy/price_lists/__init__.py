"""Published prices of providers, and what becomes of a model's prices if they are taken over.

Only the admin and `manage.py import_prices` need it. The list is the package genai-prices, whose
wheel contains the prices as data; it is imported when it is asked for the first time.
"""
