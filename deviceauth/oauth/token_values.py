"""Creation of token values, so that a repeated refresh gets the same pair although only hashes are
stored.

The first pair is random. Each later pair is derived from SECRET_KEY and the presented refresh
token. Presenting that token again during the grace period derives the same pair; the database alone
does not suffice to derive it.
"""

import base64
import secrets
from typing import Any

from django.utils.crypto import salted_hmac


def create_access_token(request: Any) -> str:
    """django-oauth-toolkit's ACCESS_TOKEN_GENERATOR."""
    return _create_value(request, "access")


def create_refresh_token(request: Any) -> str:
    """django-oauth-toolkit's REFRESH_TOKEN_GENERATOR."""
    return _create_value(request, "refresh")


def _create_value(request: Any, kind: str) -> str:
    presented = getattr(request, "refresh_token_instance", None)
    if presented is None:
        return secrets.token_urlsafe(32)
    return _derive_successor(kind, presented.pk, request.refresh_token)


def _derive_successor(kind: str, pk: int, presented: str) -> str:
    # salted_hmac keys each kind with a key of its own, made from its name and SECRET_KEY.
    digest = salted_hmac(
        f"deviceauth.successor.{kind}", f"{pk}:{presented}", algorithm="sha256"
    ).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
