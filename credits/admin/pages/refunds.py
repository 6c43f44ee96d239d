"""The page on which an administrator returns a usage, or takes a purchase back."""

from typing import Any

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from credits import ledger
from credits.admin.pages.confirmed_form import (
    Confirmation,
    Facts,
    Preview,
    ReasonForm,
    needs_another,
    reason_field,
    waits,
)
from credits.exceptions import AlreadyRefunded, InvalidAmount, LedgerRefusal
from credits.models import Transaction
from credits.operators import approvals
from credits.templatetags.amounts import signed

PERMISSIONS = {
    Transaction.Type.USAGE: "credits.refund_usage",
    Transaction.Type.PURCHASE: "credits.refund_purchase",
}


class RefundForm(ReasonForm):
    amount = forms.IntegerField(
        label=gettext_lazy("Credits"), min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = reason_field(
        help_text=gettext_lazy("The user and other administrators can read this.")
    )
    field_order = ("amount", "reason", "key")

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = most
        self.fields["amount"].help_text = _("At most %(most)d credits can be refunded.") % {
            "most": most
        }

    def clean_amount(self) -> int:
        amount = int(self.cleaned_data["amount"])
        # A form sent twice finds nothing left: the ledger answers by its key, and says what is too much.
        if amount > (ledger.MAX_AMOUNT if "confirm" in self.data else self.most):
            raise forms.ValidationError(
                _("At most %(most)d credits can be refunded.") % {"most": self.most}
            )
        return amount


class RefundPage(Confirmation):
    def __init__(self, request: Any, model_admin: Any, original: Transaction) -> None:
        super().__init__(request, model_admin)
        self.original = original
        self.left = ledger.refundable(original)
        self.title, self.verb = _("Refund"), _("Refund")

    def form(self, data: Any = None) -> RefundForm:
        return RefundForm(data, initial=self.initial(), most=self.left)

    def initial(self) -> dict[str, Any]:
        return {**super().initial(), "amount": self.left}

    def facts(self) -> Facts:
        row = self.original
        return (
            (_("Transaction"), f"{row.pk} · {row.get_type_display()} {signed(row.amount)}"),
            (_("Time"), formats.date_format(row.created_at, "DATETIME_FORMAT")),
            (_("Description"), row.description or "–"),
            (_("Refundable"), intcomma(self.left)),
        )

    def users(self) -> list[Any]:
        return [self.original.user]

    def previews(self, asked: dict[str, Any]) -> list[Preview]:
        """Usage comes back to the user, a purchase is taken back from them."""
        amount = asked["amount"]
        return [Preview(self.original.user, amount if self.original.amount < 0 else -amount)]

    def notice(self, asked: dict[str, Any]) -> str:
        return needs_another(asked["amount"])

    def button(self, asked: dict[str, Any]) -> str:
        return _("Request approval") if approvals.needed(asked["amount"]) else self.verb

    def do(self, asked: dict[str, Any]) -> str:
        amount, reason, key = asked["amount"], asked["reason"], asked["key"]
        if approvals.refund_or_ask(self.original, amount, reason, actor=self.actor, key=key):
            return waits()
        return _("The credits have been refunded.")

    def in_words(self, refusal: LedgerRefusal) -> str:
        if isinstance(refusal, InvalidAmount):
            return _("At most %(most)d credits can be refunded.") % {"most": self.left}
        if isinstance(refusal, AlreadyRefunded):
            return _("There is nothing left to refund.")
        return super().in_words(refusal)

    def back(self) -> str:
        return reverse("admin:credits_transaction_change", args=[self.original.pk])


def may_refund(user: Any, row: Transaction | None) -> bool:
    """Whether this administrator may refund a row of this type, however much is left of it."""
    return (
        row is not None
        and row.type in PERMISSIONS
        and bool(user.has_perm(PERMISSIONS[Transaction.Type(row.type)]))
    )
