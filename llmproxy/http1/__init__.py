"""HTTP/1.1 connections to providers: sockets and their pool, framing, one request and response.

Nothing here knows models or money.
"""
