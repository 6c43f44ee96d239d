"""Rows of a secret: an API key, a token, a redemption code. Only digests reach the database."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from oauth2_provider.models import RefreshToken

from accounts.models import ApiKey
from accounts.toolbox.credentials import checksum
from credits.codes.code_format import digest_code
from credits.models import RedemptionCode
from deviceauth.models import DeviceSession
from smartspec.admin.find.terms import Term


def find_key(term: Term) -> Iterable[ApiKey]:
    """Return the key that was pasted whole, revoked or not."""
    if not term.token:
        return ()
    return ApiKey.objects.filter(checksum=checksum(term.token)).select_related("user")


def find_device(term: Term) -> Iterable[DeviceSession]:
    """Return the device of an access token or refresh token."""
    if not term.token:
        return ()
    digest = checksum(term.token)
    tokens = RefreshToken.objects.filter(
        Q(token_checksum=digest) | Q(access_token__token_checksum=digest)
    )
    families = list(tokens.values_list("token_family", flat=True)[:1])
    return DeviceSession.objects.filter(token_family__in=families).select_related("user")


def find_code(term: Term) -> Iterable[RedemptionCode]:
    if not term.code:
        return ()
    rows = RedemptionCode.objects.select_related("batch", "user")
    return rows.filter(digest=digest_code(term.code))


def find_keys_by_ending(term: Term) -> Iterable[ApiKey]:
    if not term.last_four:
        return ()
    rows = ApiKey.objects.filter(last_characters=term.last_four)
    return rows.select_related("user").order_by("-pk")


def find_codes_by_ending(term: Term) -> Iterable[RedemptionCode]:
    if not term.last_four or term.is_key:
        return ()
    rows = RedemptionCode.objects.filter(last_four=term.last_four.upper())
    return rows.select_related("batch", "user").order_by("-pk")


FINDERS: tuple[tuple[type[Any], Any], ...] = (
    (ApiKey, find_key),
    (DeviceSession, find_device),
    (RedemptionCode, find_code),
)
ENDINGS: tuple[tuple[type[Any], Any], ...] = (
    (ApiKey, find_keys_by_ending),
    (RedemptionCode, find_codes_by_ending),
)
