"""The page on which an administrator writes off the debt of a user."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from accounts.toolbox.exceptions import Refusal
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    CreditsForm,
    Facts,
    Preview,
    describe_needed_approval,
    describe_requested_approval,
)
from credits.exceptions import InvalidAmount, NoDebt
from credits.operators import approvals


class WriteOffForm(CreditsForm):
    def describe_limit(self) -> str:
        return describe_limit(self.most)


class WriteOffPage(ConfirmedFormPage):
    name = "write_off"
    label = gettext_lazy("Write off debt")
    icon = "money_off"
    permission = "credits.write_off_debt"

    def __init__(self, request: Any, model_admin: Any, user: User) -> None:
        super().__init__(request, model_admin, user)
        self.user = user
        self.verb = _("Write off")

    @classmethod
    def explain_obstacle(cls, row: User, actor: User) -> str:
        return "" if row.credits_debt else _("This user owes nothing.")

    def form(self, data: Any = None) -> WriteOffForm:
        return WriteOffForm(data, initial=self.initial(), most=self.user.credits_debt)

    def initial(self) -> dict[str, Any]:
        return {**super().initial(), "amount": self.user.credits_debt}

    def facts(self) -> Facts:
        return ((_("Owed"), intcomma(self.user.credits_debt)),)

    def users(self) -> list[User]:
        return [self.user]

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        """Show that the balance stays: only the debt changes."""
        return [Preview(self.user, 0)]

    def notice(self, cleaned: dict[str, Any]) -> str:
        left = max(self.user.credits_debt - cleaned["amount"], 0)
        owed = ngettext(
            "Afterwards, the user owes %(left)s credit.",
            "Afterwards, the user owes %(left)s credits.",
            left,
        ) % {"left": intcomma(left)}
        return f"{owed} {describe_needed_approval(cleaned['amount'])}".strip()

    def button(self, cleaned: dict[str, Any]) -> str:
        return _("Request approval") if approvals.needs_approval(cleaned["amount"]) else self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        amount, reason, key = cleaned["amount"], cleaned["reason"], cleaned["key"]
        if approvals.write_off_or_ask(self.user, amount, reason, actor=self.actor, key=key):
            return describe_requested_approval()
        return _("The debt has been written off.")

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, InvalidAmount):
            return describe_limit(self.user.credits_debt)
        if isinstance(refusal, NoDebt):
            return _("This user owes nothing.")
        return super().explain(refusal)


def describe_limit(owed: int) -> str:
    text = ngettext(
        "The user owes %(owed)s credit. You cannot write off more than that.",
        "The user owes %(owed)s credits. You cannot write off more than that.",
        owed,
    )
    return text % {"owed": intcomma(owed)}
