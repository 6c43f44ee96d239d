"""The routes that are metered. No other reaches a provider."""
