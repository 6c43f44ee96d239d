"""Automatic refills: consent, the claim of an attempt, its payment, and why they pause."""
