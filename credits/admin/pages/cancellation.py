"""The page on which an administrator cancels a hold."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits.admin.pages.confirmed_form import ConfirmedFormPage, Facts
from credits.countdown import format_countdown
from credits.exceptions import HoldEnded
from credits.models import Hold
from credits.operators import actions, approvals


class CancellationPage(ConfirmedFormPage):
    name = "cancel"
    label = gettext_lazy("Cancel hold")
    icon = "cancel"
    permission = "credits.cancel_hold"
    at_once = True
    danger = True

    def __init__(self, request: Any, model_admin: Any, hold: Hold) -> None:
        super().__init__(request, model_admin, hold)
        self.hold = hold

    @classmethod
    def explain_obstacle(cls, row: Hold, actor: User) -> str:
        return "" if row.state == Hold.State.OPEN else describe_ended()

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
        approvals.refuse_own_account([self.hold.user], self.actor)
        actions.cancel(self.hold, cleaned["reason"], actor=self.actor)
        return _("The hold has been cancelled.")

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, HoldEnded):
            return describe_ended()
        return super().explain(refusal)


def describe_ended() -> str:
    return _("This hold has already ended. Nothing was changed.")
