"""The kinds of alerts, with the type of the webhook message of each."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import AccountAlert

Kind = AccountAlert.Kind


@dataclass(frozen=True, slots=True)
class KindOfAlert:
    """`event` is the type of the webhook message. `is_always_mailed`: a mail is always sent."""

    kind: AccountAlert.Kind
    event: str
    help: str | Promise
    is_always_mailed: bool = False


KINDS = {
    each.kind: each
    for each in (
        KindOfAlert(
            Kind.LOW, "credits.low", _("Your balance falls below the number that you choose above.")
        ),
        KindOfAlert(
            Kind.USED_UP, "credits.used_up", _("Your credits do not cover a request any more.")
        ),
        KindOfAlert(
            Kind.EXPIRING,
            "credits.expiring",
            _("7 days and 1 day before credits expire that you would probably not use."),
        ),
        KindOfAlert(
            Kind.UNUSUAL,
            "usage.unusual",
            _("You use over five times as much as on a usual day. Nothing is blocked."),
        ),
        KindOfAlert(
            Kind.PAYMENT,
            "payment.problem",
            _("A refill, a plan, a refund or a dispute needs your action."),
            is_always_mailed=True,
        ),
        KindOfAlert(
            Kind.DEVICE,
            "device.new",
            _("A device was allowed to use your credits."),
            is_always_mailed=True,
        ),
        KindOfAlert(Kind.WEBHOOK_OFF, "webhook.off", _("A webhook of yours was switched off.")),
    )
}
