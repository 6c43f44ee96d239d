"""What is stored of a token or key: enough to find it again, nothing to use it with."""

import hashlib


def checksum(token: str) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
