"""The end of a user's access, after a new password, a deactivation or an account deletion.

Applications above register in AppConfig.ready() how to end the access that they grant.
"""

from collections.abc import Callable

from django.db.transaction import atomic

from accounts.models import User
from accounts.toolbox.request_source import Source

Ender = Callable[[User, Source], object]
_enders: list[Ender] = []


def register_ender(ender: Ender) -> Ender:
    """Register `ender(user, source)`, which is called whenever a user's access ends.

    Registering the same function twice has no further effect.
    """
    if ender not in _enders:
        _enders.append(ender)
    return ender


def end(user: User, *, source: Source) -> None:
    """End all access as this user except browser sessions and API keys.

    A new password ends browser sessions by itself, because they contain a hash of the old one.
    """
    with atomic():
        for ender in _enders:
            ender(user, source)
