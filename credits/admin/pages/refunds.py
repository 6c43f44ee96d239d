"""The page on which an administrator refunds a usage, a purchase or a paid subscription."""

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts.links import add_links
from accounts.toolbox.exceptions import Refusal
from credits import balances
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    CreditsForm,
    Facts,
    Preview,
    describe_needed_approval,
    describe_requested_approval,
)
from credits.exceptions import AlreadyRefunded, InvalidAmount
from credits.models import Transaction
from credits.operators import approvals
from credits.templatetags.amounts import format_signed

REFUND_USAGE = "credits.refund_usage"
REFUND_PAYMENT = "credits.refund_purchase"


class RefundForm(CreditsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].help_text = self.describe_limit()

    def describe_limit(self) -> str:
        return _("At most %(most)d credits can be refunded.") % {"most": self.most}


class RefundPage(ConfirmedFormPage):
    """The refund of one transaction; a subclass finds it from another row."""

    name = "refund"
    label = gettext_lazy("Refund")
    icon = "undo"

    def __init__(self, request: Any, model_admin: Any, row: Any) -> None:
        super().__init__(request, model_admin, row)
        self.original = self.find_original(row)
        self.left = balances.refundable(self.original)

    @staticmethod
    def find_original(row: Any) -> Transaction:
        """Return the transaction that is refunded."""
        found: Transaction = row
        return found

    def form(self, data: Any = None) -> RefundForm:
        return RefundForm(data, initial=self.initial(), most=self.left)

    def initial(self) -> dict[str, Any]:
        return {**super().initial(), "amount": self.left}

    def facts(self) -> Facts:
        row = self.original
        return (
            (_("Transaction"), f"{row.pk} · {row.get_type_display()} {format_signed(row.amount)}"),
            (_("Time"), formats.date_format(row.created_at, "DATETIME_FORMAT")),
            (_("Description"), row.description or "–"),
            (_("Refundable"), intcomma(self.left)),
        )

    def users(self) -> list[Any]:
        return [self.original.user]

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        """Show that a usage is returned to the user and a purchase is taken back from them."""
        amount = cleaned["amount"]
        return [Preview(self.original.user, amount if self.original.amount < 0 else -amount)]

    def notice(self, cleaned: dict[str, Any]) -> str:
        return describe_needed_approval(cleaned["amount"])

    def button(self, cleaned: dict[str, Any]) -> str:
        return _("Request approval") if approvals.needs_approval(cleaned["amount"]) else self.verb

    def act(self, cleaned: dict[str, Any]) -> str:
        by = self.by(cleaned)
        asked = approvals.refund_or_ask(
            self.original, cleaned["amount"], by.reason, actor=by.actor, key=by.key
        )
        if asked is not None:
            return add_links(describe_requested_approval(), asked)
        return describe_refund(self.original)

    def explain(self, refusal: Refusal) -> str:
        if isinstance(refusal, InvalidAmount):
            return _("At most %(most)d credits can be refunded.") % {"most": self.left}
        if isinstance(refusal, AlreadyRefunded):
            return _("There is nothing left to refund.")
        return super().explain(refusal)

    def back(self) -> str:
        return reverse("admin:credits_transaction_change", args=[self.original.pk])


def describe_refund(original: Transaction) -> str:
    """Say that credits were refunded, with links to the new transaction and its user."""
    posted = original.reversals.order_by("-pk").first()
    return add_links(_("The credits have been refunded."), posted, original.user)


def may_refund(user: Any, row: Transaction | None) -> bool:
    """True if the administrator may refund this type of row, even if nothing is left to refund."""
    if row is None or not is_refundable(row):
        return False
    return bool(user.has_perm(REFUND_PAYMENT if row.is_paid else REFUND_USAGE))


def is_refundable(row: Transaction) -> bool:
    """True for a type of row that can be refunded, even if nothing is left to refund."""
    return row.is_paid or row.type == Transaction.Type.USAGE
