"""The admin of providers, of models with their prices, and of completions with their receipts."""

from llmproxy.admin import language_models, providers, receipts, reconciliation

__all__ = ["language_models", "providers", "receipts", "reconciliation"]
