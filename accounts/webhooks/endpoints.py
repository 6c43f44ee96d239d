"""The endpoints of a user: add one, change its secret, switch it on and off, remove it."""

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import AccountAlert, User, WebhookDelivery, WebhookEndpoint
from accounts.toolbox.exceptions import Refusal
from accounts.webhooks import signing
from accounts.webhooks.addresses import Target

MOST = 5  # endpoints of one user
OLD_SECRET = timedelta(hours=24)  # how long the previous secret stays valid
FAILING = timedelta(days=5)  # time without a success after which an endpoint is switched off


class TooMany(Refusal):
    status = 409
    code = "too_many_webhooks"

    def __init__(self) -> None:
        super().__init__(_("You have %(most)d webhooks. Remove one first.") % {"most": MOST})


def add(user: User, target: Target) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint; return it with its secret, which is shown once. Raises TooMany."""
    secret = signing.make_secret()
    with atomic():
        User.objects.locked(user.pk)
        if WebhookEndpoint.objects.filter(user=user).count() >= MOST:
            raise TooMany
        encrypted = signing.encrypt_secret(secret)
        endpoint = WebhookEndpoint.objects.create(
            user=user, url=target.url, encrypted_secret=encrypted
        )
    return endpoint, secret


def change_secret(endpoint: WebhookEndpoint) -> str:
    """Replace the secret and return the new one. The previous one stays valid for OLD_SECRET."""
    secret = signing.make_secret()
    with atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        row.encrypted_old_secret = row.encrypted_secret
        row.old_until = timezone.now() + OLD_SECRET
        row.encrypted_secret = signing.encrypt_secret(secret)
        row.save(update_fields=["encrypted_old_secret", "old_until", "encrypted_secret"])
    return secret


def list_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the valid secrets, the newest first. Raises encryption.Unreadable."""
    stored = [endpoint.encrypted_secret]
    if endpoint.old_until is not None and endpoint.old_until > now:
        stored.append(endpoint.encrypted_old_secret)
    return [signing.decrypt_secret(each) for each in stored]


def switch_on(endpoint: WebhookEndpoint) -> bool:
    """Switch an endpoint on for its owner. False if the operator has switched it off."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    allowed = rows.exclude(off_because=WebhookEndpoint.Off.BY_US)
    return bool(allowed.update(is_active=True, off_because="", failing_since=None))


def open_again(endpoint: WebhookEndpoint) -> bool:
    """Switch on an endpoint that the operator had switched off. False if it is on."""
    closed = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_active=False)
    return bool(closed.update(is_active=True, off_because="", failing_since=None))


def switch_off(endpoint: WebhookEndpoint, because: WebhookEndpoint.Off) -> bool:
    """Switch an endpoint off; its waiting messages are not sent. The owner gets an alert, once.

    False if it was off before.
    """
    with atomic():
        active = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_active=True)
        if not active.update(is_active=False, off_because=because):
            return False
        waiting = endpoint.deliveries.filter(state=WebhookDelivery.State.WAITING)
        waiting.update(state=WebhookDelivery.State.FAILED, next_try_at=None)
        if because != WebhookEndpoint.Off.BY_USER:
            kind = AccountAlert.Kind.WEBHOOK_OFF
            AccountAlert.objects.note(endpoint.user, kind, url=endpoint.url, because=str(because))
    return True


def remove(endpoint: WebhookEndpoint) -> None:
    """Remove an endpoint, with all messages to it."""
    _remove(WebhookEndpoint.objects.filter(pk=endpoint.pk))


def remove_all(user: User) -> None:
    """Remove the endpoints of a closed account, with all messages to them."""
    _remove(WebhookEndpoint.objects.filter(user=user))


def _remove(rows: QuerySet[WebhookEndpoint]) -> None:
    """Remove endpoints. With the lock, no message is written to one between its two deletions."""
    with atomic():
        list(rows.order_by("pk").select_for_update())
        rows.delete()
