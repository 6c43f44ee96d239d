"""Who sent a request: the device or API key of a completion, with its present name."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from accounts.models import ApiKey, User
from deviceauth.models import DeviceSession

KEY, DEVICE = "key", "device"  # the kinds of credentials, before the colon


@dataclass(frozen=True, slots=True)
class Caller:
    """A device, an API key, or a browser, whose `credential` is empty.

    `pk` is that of the row, None if there is none. `is_live` is False if the device was
    disconnected or the key revoked; only a live one has a page of its own.
    """

    credential: str
    kind: str
    name: str
    pk: int | None = None
    is_live: bool = False


def find_callers(user: User, names: Mapping[str, str]) -> dict[str, Caller]:
    """Map each credential of the user's to its caller.

    `names` has the credentials with the names that their completions were written with, which are
    shown if the row is gone.
    """
    rows = {**_list_keys(user, names), **_list_devices(user, names)}
    return {
        credential: rows.get(credential)
        or Caller(credential, credential.partition(":")[0], name or credential[-8:])
        for credential, name in names.items()
    }


def find_caller(user: User | None, credential: str, name: str) -> Caller:
    """Return the caller of one completion; `user` is None for one of the Python backend."""
    if user is None or not credential:
        return Caller(credential, "", name)
    return find_callers(user, {credential: name})[credential]


def _list_keys(user: User, names: Mapping[str, str]) -> dict[str, Caller]:
    numbers = [own for own in _list_ids(names, KEY) if _is_number(own)]
    rows = ApiKey.objects.filter(user=user, pk__in=numbers) if numbers else ()
    return {
        row.credential: Caller(row.credential, KEY, row.name, row.pk, row.revoked_at is None)
        for row in rows
    }


def _list_devices(user: User, names: Mapping[str, str]) -> dict[str, Caller]:
    families = [uuid.UUID(own) for own in _list_ids(names, DEVICE) if _is_family(own)]
    if not families:
        return {}
    rows = DeviceSession.objects.filter(user=user, token_family__in=families)
    live = (
        set(
            DeviceSession.objects.live()
            .filter(pk__in=[row.pk for row in rows])
            .values_list("pk", flat=True)
        )
        if rows
        else ()
    )
    return {
        row.credential: Caller(row.credential, DEVICE, row.name, row.pk, row.pk in live)
        for row in rows
    }


def _list_ids(names: Mapping[str, str], kind: str) -> list[str]:
    """Return what stands behind the colon of the credentials of this kind."""
    parts = (credential.partition(":") for credential in names)
    return [own for found, _colon, own in parts if found == kind]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _is_family(text: str) -> bool:
    return len(text) == 32 and all(sign in "0123456789abcdef" for sign in text)
