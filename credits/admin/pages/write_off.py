"""The page on which an administrator writes off the debt of a user."""

from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.models import User
from credits import ledger
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    Preview,
    ReasonForm,
    describe_needed_approval,
    describe_requested_approval,
    make_reason_field,
)
from credits.exceptions import InvalidAmount, LedgerRefusal, NoDebt
from credits.operators import approvals


class WriteOffForm(ReasonForm):
    amount = forms.IntegerField(
        label=gettext_lazy("Credits"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = make_reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )
    field_order = ("amount", "reason", "key")

    def __init__(self, *args: Any, owed: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owed = owed

    def clean_amount(self) -> int:
        """Compare with the debt before the confirmation only.

        When a form is sent twice, nothing is owed at the second time, but its key must get the
        first outcome again.
        """
        amount = int(self.cleaned_data["amount"])
        if amount > (ledger.MAX_AMOUNT if "confirm" in self.data else self.owed):
            raise forms.ValidationError(describe_limit(self.owed))
        return amount


class WriteOffPage(ConfirmedFormPage):
    def __init__(self, request: Any, model_admin: Any, user: User) -> None:
        super().__init__(request, model_admin)
        self.user = user
        self.title, self.verb = _("Write off debt"), _("Write off")

    def form(self, data: Any = None) -> WriteOffForm:
        return WriteOffForm(data, initial=self.initial(), owed=self.user.credits_debt)

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

    def explain(self, refusal: LedgerRefusal) -> str:
        if isinstance(refusal, InvalidAmount):
            return describe_limit(self.user.credits_debt)
        if isinstance(refusal, NoDebt):
            return _("This user owes nothing.")
        return super().explain(refusal)

    def back(self) -> str:
        return reverse("admin:accounts_user_change", args=[self.user.pk])


def describe_limit(owed: int) -> str:
    text = ngettext(
        "The user owes %(owed)s credit. You cannot write off more than that.",
        "The user owes %(owed)s credits. You cannot write off more than that.",
        owed,
    )
    return text % {"owed": intcomma(owed)}
