from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts import factors, mails, sessions
from accounts.models import OutgoingMail
from accounts.rotation import Rotated, Secrets, Turn, rotate
from llmproxy import idempotency, keys
from llmproxy.models import IdempotencyKey, Provider

MOST_NAMED = 20


def turn_factor(data: dict[str, Any], turn: Turn) -> dict[str, Any] | None:
    """What allauth encrypts of a factor: a secret, a seed, or codes from before it had seeds."""
    new = {name: turn(data[name]) or data[name] for name in ("secret", "seed") if name in data}
    if codes := data.get("migrated_codes"):
        new["migrated_codes"] = [turn(code) or code for code in codes]
    turned = {**data, **new}
    return turned if turned != data else None


def _factors() -> QuerySet[Any]:
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)  # a passkey holds no secret of ours
    rows: QuerySet[Any] = Authenticator.objects.filter(type__in=kinds)
    return rows


# All that accounts.encryption encrypts. The digests of addresses that had their bonus are made, not encrypted: nobody
# can make them anew without the address.
SECRETS = (
    Secrets(lambda: Provider.objects.exclude(encrypted_key=""), "encrypted_key", keys.PURPOSE),
    Secrets(_factors, "data", factors.PURPOSE, turn_factor),
    Secrets(OutgoingMail.objects.all, "body", mails.PURPOSE),
    Secrets(lambda: Session.objects.filter(expire_date__gt=Now()), "session_data", sessions.PURPOSE),
    Secrets(lambda: IdempotencyKey.objects.exclude(answer=""), "answer", idempotency.PURPOSE),
)


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret under the newest of ENCRYPTION_KEYS. Run it after a new key was put first and the "
        "site restarted. Safe to run again, and while the site runs."
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
        self.stdout.write("Older keys are needed for nothing but to know which addresses had the sign-up bonus.")

    def _name(self, secrets: Secrets, done: Rotated) -> None:
        table = secrets.rows().model._meta.db_table
        for pk in done.unreadable[:MOST_NAMED]:
            self.stderr.write(f"{table}: row {pk} cannot be read.")
        if len(done.unreadable) > MOST_NAMED:
            self.stderr.write(f"{table}: and {len(done.unreadable) - MOST_NAMED} more.")
