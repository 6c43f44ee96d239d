"""The end of somebody's access: what a changed password, a deactivation or a closed account takes away.

The apps above know what else gives access and say so at start-up, in their AppConfig.ready().
"""

from collections.abc import Callable

from django.db.transaction import atomic

from accounts.models import User
from accounts.toolbox.request_source import Source

Ender = Callable[[User, Source], object]
_enders: list[Ender] = []


def ends_with(ender: Ender) -> Ender:
    """Have `ender(user, source)` called whenever a user's access ends. Again: once."""
    if ender not in _enders:
        _enders.append(ender)
    return ender


def end(user: User, *, source: Source) -> None:
    """End all that was given access as this user and is no browser; Django's password hash ends those."""
    with atomic():
        for ender in _enders:
            ender(user, source)
