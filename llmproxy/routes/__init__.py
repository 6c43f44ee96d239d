"""The metered routes, one module each: the checks of a request body and the form of the response.

No other route reaches a provider.
"""
