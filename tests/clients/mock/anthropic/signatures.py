"""Signatures of thoughts, which a caller has to send back unchanged."""

import base64
import hashlib
import hmac

KEY = b"thoughts of the mock"


def sign(thoughts: str) -> str:
    return base64.b64encode(hmac.digest(KEY, thoughts.encode(), hashlib.sha256)).decode()


def is_valid(thoughts: str, signature: str) -> bool:
    return hmac.compare_digest(sign(thoughts), signature)
