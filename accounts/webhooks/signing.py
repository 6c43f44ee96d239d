"""Secrets and signatures of webhooks.

Source: Standard Webhooks 1.0.0, "Signature scheme". The secret is `whsec_` with the base64 of 32
bytes; those bytes are the key. The signature covers id, time (in seconds) and body.
"""

import base64
import hashlib
import hmac
import secrets

from accounts.toolbox import encryption

PREFIX = "whsec_"
KEY_BYTES = 32
PURPOSE = "webhook secrets"


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def encrypt_secret(secret: str) -> str:
    return encryption.encrypt(secret, purpose=PURPOSE)


def decrypt_secret(stored: str) -> str:
    """Raises encryption.Unreadable."""
    return encryption.decrypt(stored, purpose=PURPOSE)


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature `v1,<base64>`. `timestamp` is in seconds since 1970 (UTC)."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.digest(key, signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
