from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts import mails
from accounts.access import second_factors
from accounts.login import sessions
from accounts.models import OutgoingMail, WebhookEndpoint
from accounts.toolbox.key_rotation import Reencrypt, Rotated, Secrets, rotate
from accounts.webhooks import signing
from llmproxy import provider_keys
from llmproxy.admission import idempotency
from llmproxy.models import IdempotencyKey, Provider

MAX_REPORTED = 20  # Unreadable rows of one table.
CHECK = """\
This command cannot see which keys the running site has. Check before you remove an older key:
1. Every process of the site was restarted with this ENCRYPTION_KEYS, the new key first.
2. Log out and in again, and test the connection of a provider in the admin: its key must be
   readable.
3. Run this command again:
   if it encrypts anything anew, a process still writes with an older key. Go back to 1.
Then the older keys are needed only to recognise the addresses that had the sign-up bonus."""


def turn_factor(data: dict[str, Any], turn: Reencrypt) -> dict[str, Any] | None:
    """Encrypt the secret, the seed or the old recovery codes of a factor with the newest key.

    `turn` encrypts one text anew and returns None if it has the newest key already. Return the
    new data, or None if nothing changed. Old codes are those from before allauth had seeds.
    """
    new = {name: turn(data[name]) or data[name] for name in ("secret", "seed") if name in data}
    if codes := data.get("migrated_codes"):
        new["migrated_codes"] = [turn(code) or code for code in codes]
    turned = {**data, **new}
    return turned if turned != data else None


def _list_factors() -> QuerySet[Any]:
    """Return the factors with a secret; passkeys have none."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    rows: QuerySet[Any] = Authenticator.objects.filter(type__in=kinds)
    return rows


# Everything that accounts/toolbox/encryption.py encrypts. The digests of addresses that had the
# sign-up bonus are not here: they cannot be computed anew without the address.
SECRETS = (
    Secrets(
        lambda: Provider.objects.exclude(encrypted_key=""), "encrypted_key", provider_keys.PURPOSE
    ),
    Secrets(
        lambda: Provider.objects.exclude(encrypted_proxy_login=""),
        "encrypted_proxy_login",
        provider_keys.PURPOSE,
    ),
    Secrets(WebhookEndpoint.objects.all, "encrypted_secret", signing.PURPOSE),
    Secrets(
        lambda: WebhookEndpoint.objects.exclude(encrypted_old_secret=""),
        "encrypted_old_secret",
        signing.PURPOSE,
    ),
    Secrets(_list_factors, "data", second_factors.PURPOSE, turn_factor),
    Secrets(OutgoingMail.objects.all, "body", mails.PURPOSE),
    Secrets(
        lambda: Session.objects.filter(expire_date__gt=Now()), "session_data", sessions.PURPOSE
    ),
    Secrets(lambda: IdempotencyKey.objects.exclude(answer=""), "answer", idempotency.PURPOSE),
)


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the newest of ENCRYPTION_KEYS. Put the new key first,"
        " keep the old ones behind it, and restart every process of the site with that list before"
        " you run this: the command sees only its own environment, and a process without the new"
        " key can read nothing that was encrypted anew, not even sessions. It is safe to run again,"
        " and while the site runs. Its output says what to check before you remove an old key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = 0
        for secrets in SECRETS:
            rotated = rotate(secrets)
            self.stdout.write(
                f"{secrets.purpose}: {rotated.changed} encrypted anew, {rotated.current} under the"
                " newest key already."
            )
            self._report_unreadable(secrets, rotated)
            unreadable += len(rotated.unreadable)
        if unreadable:
            raise CommandError(
                f"{unreadable} could not be read: no key in ENCRYPTION_KEYS is theirs. They were"
                " left as they are."
            )
        self.stdout.write(CHECK)

    def _report_unreadable(self, secrets: Secrets, rotated: Rotated) -> None:
        table = secrets.rows().model._meta.db_table
        for pk in rotated.unreadable[:MAX_REPORTED]:
            self.stderr.write(f"{table}: row {pk} cannot be read.")
        if len(rotated.unreadable) > MAX_REPORTED:
            self.stderr.write(f"{table}: and {len(rotated.unreadable) - MAX_REPORTED} more.")
