"""HTTP/1.1 connections to providers: sockets and their pool, framing, one exchange.

It knows neither models nor money.
"""
