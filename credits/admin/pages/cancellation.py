"""The page on which an administrator cancels a hold."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _

from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.countdown import format_countdown
from credits.exceptions import HoldEnded, LedgerRefusal
from credits.models import Hold
from credits.operators import actions


class CancellationPage(ConfirmedFormPage):
    at_once = True
    danger = True

    def __init__(self, request: Any, model_admin: Any, hold: Hold) -> None:
        super().__init__(request, model_admin)
        self.hold = hold
        self.title, self.verb = _("Cancel hold"), _("Cancel hold")

    def facts(self) -> Facts:
        hold = self.hold
        return (
            (_("User"), hold.user),
            (_("Held"), intcomma(hold.amount)),
            (_("Completion"), hold.reference_id),
            (_("Expires"), format_countdown(hold)),
        )

    def notice(self, cleaned: dict[str, Any]) -> str:
        return _(
            "The credits become available again at once. The answer itself is not stopped: "
            "if it is still being written, the user receives it without a charge, and its "
            "receipt shows the cost as not collected."
        )

    def act(self, cleaned: dict[str, Any]) -> str:
        actions.cancel(self.hold, cleaned["reason"], actor=self.actor)
        return _("The hold has been cancelled.")

    def explain(self, refusal: LedgerRefusal) -> str:
        if isinstance(refusal, HoldEnded):
            return _("This hold has already ended. Nothing was changed.")
        return super().explain(refusal)

    def back(self) -> str:
        return reverse("admin:credits_hold_change", args=[self.hold.pk])
