"""Whether a user wants each kind of alert by mail and by webhook."""

from collections.abc import Mapping
from typing import NamedTuple

from django.db.transaction import atomic

from accounts.alerts.kinds import KINDS
from accounts.models import AccountAlert, AlertChoice, User


class Ways(NamedTuple):
    by_mail: bool = True
    by_webhook: bool = True


def read_choices(user: User) -> dict[AccountAlert.Kind, Ways]:
    """Return the choice for every kind; mail and webhook where the user has chosen nothing."""
    rows = AlertChoice.objects.filter(user=user)
    chosen = {row.kind: Ways(row.by_mail, row.by_webhook) for row in rows}
    return {kind: _keep_mail(kind, chosen.get(kind, Ways())) for kind in KINDS}


def store_choices(user: User, choices: Mapping[AccountAlert.Kind, Ways]) -> None:
    """Replace the choices of a user. A mail that cannot be switched off stays on."""
    with atomic():
        User.objects.locked(user.pk)
        AlertChoice.objects.filter(user=user).delete()
        AlertChoice.objects.bulk_create(
            AlertChoice(user=user, kind=kind, **_keep_mail(kind, ways)._asdict())
            for kind, ways in choices.items()
        )


def _keep_mail(kind: AccountAlert.Kind, ways: Ways) -> Ways:
    return Ways(ways.by_mail or KINDS[kind].is_always_mailed, ways.by_webhook)
