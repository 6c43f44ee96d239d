"""The values of tokens. Only their hashes are stored, yet a repeated refresh gets the same pair again.

A first pair is random. A successor is derived from the refresh token that was presented: whoever
presents it again while the grace lasts gets the same successors, and the database alone yields neither.
"""

import base64
import secrets
from typing import Any

from django.utils.crypto import salted_hmac


def access_token(request: Any) -> str:
    """django-oauth-toolkit's ACCESS_TOKEN_GENERATOR."""
    return _value(request, "access")


def refresh_token(request: Any) -> str:
    """django-oauth-toolkit's REFRESH_TOKEN_GENERATOR."""
    return _value(request, "refresh")


def _value(request: Any, kind: str) -> str:
    presented = getattr(request, "refresh_token_instance", None)
    if presented is None:
        return secrets.token_urlsafe(32)
    return _successor(kind, presented.pk, request.refresh_token)


def _successor(kind: str, pk: int, presented: str) -> str:
    # salted_hmac keys each kind with a key of its own, made from its name and SECRET_KEY.
    digest = salted_hmac(
        f"deviceauth.successor.{kind}", f"{pk}:{presented}", algorithm="sha256"
    ).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
