"""The verbs of API keys: create, change, revoke, note a use, purge.

The plain key exists only in the result of `create`; the database stores its digest.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import mails
from accounts.access import events
from accounts.access.events import Kind
from accounts.models import ApiKey, User
from accounts.toolbox import rate_limits
from accounts.toolbox.credentials import KEY_PREFIX, checksum
from accounts.toolbox.exceptions import AlreadyCreated, KeyRevoked, TooManyKeys
from accounts.toolbox.request_source import Source

SCOPES = frozenset({"llm:chat"})
SECRET_BYTES = 32
Rates = Mapping[str, int | None]  # by the names in accounts.models.LIMITS
NO_LIMITS: Rates = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Created:
    """A new key. `plain` is the key itself, which cannot be read again later."""

    key: ApiKey
    plain: str


def create(
    *,
    user: User,
    name: str,
    source: Source,
    expires_at: datetime | None = None,
    monthly_budget: int | None = None,
    allowed_models: Sequence[str] = (),
    rates: Rates = NO_LIMITS,
    form: str = "",
) -> Created:
    """Create a key and send its user a mail about it.

    `form` identifies the submitted form, so that sending it twice creates one key. Raises
    TooManyKeys, AlreadyCreated.
    """
    if not rate_limits.take(
        f"keys:{user.pk}", limit=settings.API_KEYS_PER_HOUR, period=3600
    ).allowed:
        raise TooManyKeys(
            _("You have created too many keys within an hour. Wait a few minutes, then try again.")
        )
    plain = f"{KEY_PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
    with atomic():
        _lock_user(user)
        _require_new(user, form)
        key = ApiKey.objects.create(
            user=user,
            name=name,
            last_characters=plain[-4:],
            checksum=checksum(plain),
            form=form or secrets.token_urlsafe(16),
            expires_at=expires_at,
            monthly_budget=monthly_budget,
            allowed_models=list(allowed_models),
            **rates,
        )
        events.record(Kind.KEY_CREATED, user=user, source=source, id=key.pk, name=name)
        mails.queue_mail(user, "accounts/email/key_created", key=key, source=source)
    return Created(key, plain)


def _lock_user(user: User) -> None:
    """Lock the user's row, so that forms sent at the same time see each other's keys."""
    User.objects.select_for_update(no_key=True, of=("self",)).only("pk").get(pk=user.pk)


def _require_new(user: User, form: str) -> None:
    if form and (made := ApiKey.objects.filter(user=user, form=form).first()):
        raise AlreadyCreated(_("This form has already created a key."), made)
    if ApiKey.objects.live().filter(user=user).count() >= settings.API_KEYS_PER_USER:
        raise TooManyKeys(
            _("You already have %(most)d keys, which is the maximum. Revoke one first.")
            % {"most": settings.API_KEYS_PER_USER}
        )


def change(
    *,
    key: ApiKey,
    source: Source,
    name: str,
    expires_at: datetime | None,
    monthly_budget: int | None,
    allowed_models: Sequence[str],
    rates: Rates = NO_LIMITS,
) -> ApiKey:
    """Replace the settings of a key; they apply from the next request. Raises KeyRevoked.

    `monthly_budget` is in whole credits, None for no budget. An empty `allowed_models` allows every
    model of the plan. `rates` has the fields of accounts.models.LIMITS.
    """
    with atomic():
        now = {"name": name, "expires_at": expires_at, "monthly_budget": monthly_budget, **rates}
        if (
            not ApiKey.objects.live()
            .filter(pk=key.pk)
            .update(allowed_models=list(allowed_models), **now)
        ):
            raise KeyRevoked(_("This key has already been revoked. Nothing was changed."))
        events.record(Kind.KEY_CHANGED, user=key.user, source=source, id=key.pk, name=name)
    key.refresh_from_db()
    return key


def revoke(*, key: ApiKey, source: Source) -> bool:
    """Revoke a key at once and for ever. False if it was revoked before.

    Requests that are already running finish and are charged.
    """
    with atomic():
        if not ApiKey.objects.live().filter(pk=key.pk).update(revoked_at=timezone.now()):
            return False
        events.record(Kind.KEY_REVOKED, user=key.user, source=source, id=key.pk, name=key.name)
    return True


def revoke_all(user: User, source: Source) -> None:
    """Revoke every key of a user."""
    with atomic():
        for key in ApiKey.objects.live().filter(user=user):
            revoke(key=key, source=source)


def note_use(*, key: ApiKey) -> None:
    """Set `last_used_at` to now, at most once in LAST_USE_SECONDS, so not at every call."""
    seconds = timedelta(seconds=settings.LAST_USE_SECONDS)
    if key.last_used_at is not None and key.last_used_at > timezone.now() - seconds:
        return
    long_ago = Q(last_used_at=None) | Q(last_used_at__lt=Now() - seconds)
    ApiKey.objects.filter(long_ago, pk=key.pk).update(last_used_at=Now())


def purge() -> int:
    """Delete keys that were revoked or expired API_KEY_KEEP_SECONDS ago; return the number."""
    before = timezone.now() - timedelta(seconds=settings.API_KEY_KEEP_SECONDS)
    return ApiKey.objects.filter(Q(revoked_at__lt=before) | Q(expires_at__lt=before)).delete()[0]
