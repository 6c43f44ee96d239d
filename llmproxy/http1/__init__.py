"""HTTP/1.1 connections to providers: sockets, pool, framing, one exchange.

It knows neither models nor money.
"""
