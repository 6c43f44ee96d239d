"""From a provider's answer to tokens, and from tokens to credits.

Pure: no database and no network.
"""
