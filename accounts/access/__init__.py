"""What lets somebody in, and how that ends: API keys, bearer authentication, browsers, second
factors, events.

Log-in pages are in login/.
"""
