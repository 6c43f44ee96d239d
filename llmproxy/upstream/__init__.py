"""Asking a provider: which one, the request and its errors, its events, its list of models.

Sockets and HTTP framing are in http1/.
"""
