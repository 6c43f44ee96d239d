"""Providers, models with prices, and completions with their receipts, in the admin."""

from llmproxy.admin import language_models, providers, receipts

__all__ = ["language_models", "providers", "receipts"]
