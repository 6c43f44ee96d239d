from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts import mails
from accounts.access import second_factors
from accounts.login import sessions
from accounts.models import OutgoingMail
from accounts.toolbox.key_rotation import Reencrypt, Rotated, Secrets, rotate
from llmproxy import provider_keys
from llmproxy.admission import idempotency
from llmproxy.models import IdempotencyKey, Provider

MOST_NAMED = 20
CHECK = """\
This command cannot see which keys the running site has. Check before you take an older key off the list:
1. Every process of the site was restarted with this ENCRYPTION_KEYS, the new key first.
2. Log out and in again, and test the connection of a provider in the admin: its key must be readable.
3. Run this command again: if it encrypts anything anew, a process still writes with an older key. Go back to 1.
Then the older keys are needed for nothing but to know which addresses had the sign-up bonus."""


def turn_factor(data: dict[str, Any], turn: Reencrypt) -> dict[str, Any] | None:
    """What allauth encrypts of a factor: a secret, a seed, or codes from before it had seeds."""
    new = {name: turn(data[name]) or data[name] for name in ("secret", "seed") if name in data}
    if codes := data.get("migrated_codes"):
        new["migrated_codes"] = [turn(code) or code for code in codes]
    turned = {**data, **new}
    return turned if turned != data else None


def _factors() -> QuerySet[Any]:
    kinds = (
        Authenticator.Type.TOTP,
        Authenticator.Type.RECOVERY_CODES,
    )  # a passkey holds no secret of ours
    rows: QuerySet[Any] = Authenticator.objects.filter(type__in=kinds)
    return rows


# All that accounts/toolbox/encryption.py encrypts. The digests of addresses that had their bonus
# are not encrypted: nobody can make them anew without the address.
SECRETS = (
    Secrets(
        lambda: Provider.objects.exclude(encrypted_key=""), "encrypted_key", provider_keys.PURPOSE
    ),
    Secrets(_factors, "data", second_factors.PURPOSE, turn_factor),
    Secrets(OutgoingMail.objects.all, "body", mails.PURPOSE),
    Secrets(
        lambda: Session.objects.filter(expire_date__gt=Now()), "session_data", sessions.PURPOSE
    ),
    Secrets(lambda: IdempotencyKey.objects.exclude(answer=""), "answer", idempotency.PURPOSE),
)


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret under the newest of ENCRYPTION_KEYS. Put the new key first, keep the old ones "
        "behind it, and restart every process of the site with that list before you run this: it sees only the list "
        "of its own environment, and a process without the new key can read nothing of what it encrypts anew, not even "
        "who is logged in. Safe to run again, and while the site runs. Its output says what to check before an old key "
        "goes."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for secrets in SECRETS:
            done = rotate(secrets)
            self.stdout.write(
                f"{secrets.purpose}: {done.changed} encrypted anew, {done.current} under the newest key already."
            )
            self._name(secrets, done)
            lost += len(done.unreadable)
        if lost:
            raise CommandError(
                f"{lost} could not be read: no key in ENCRYPTION_KEYS is theirs. They were left as they are."
            )
        self.stdout.write(CHECK)

    def _name(self, secrets: Secrets, done: Rotated) -> None:
        table = secrets.rows().model._meta.db_table
        for pk in done.unreadable[:MOST_NAMED]:
            self.stderr.write(f"{table}: row {pk} cannot be read.")
        if len(done.unreadable) > MOST_NAMED:
            self.stderr.write(f"{table}: and {len(done.unreadable) - MOST_NAMED} more.")
