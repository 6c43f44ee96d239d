"""Checkout: sessions, and what a buyer does on their page."""
