"""Bearer credentials before anybody knows whose they are: read, told apart, and digested.

Only the digest of a token or key is stored and looked up. Source: RFC 6750.
"""

import hashlib
import re

from django.http import HttpRequest

from accounts.toolbox import headers

B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,512}=*\Z")  # RFC 6750 §2.1, bounded
# An access token has 43 random characters, and one in 64³ also begins with the prefix of API keys.
# So the length decides as well.
KEY_PREFIX = "sk-"
KEY = re.compile(KEY_PREFIX + r"[A-Za-z0-9_-]{43}\Z")
_API_KEY = headers.wsgi_name(headers.API_KEY)


def read_bearer_token(request: HttpRequest) -> str | None:
    """Return the token of the Authorization header, else of `x-api-key`; None without either.

    Anthropic's clients send `x-api-key`.
    """
    scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.META.get(_API_KEY)


def is_key(token: str) -> bool:
    """Return whether this bearer token has the format of an API key, existing or not."""
    return KEY.match(token) is not None


def checksum(token: str) -> str:
    """Return the SHA-256 digest of a token or key, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
