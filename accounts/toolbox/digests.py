"""Digests of tokens and keys: the database stores these, and never a token or key itself."""

import hashlib


def checksum(token: str) -> str:
    """Return the SHA-256 of the token as 64 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()
