"""The pages on which an administrator decides another one's request, or withdraws their own."""

from typing import Any

from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from credits.admin.pages.confirmed_form import (
    ConfirmedFormPage,
    Facts,
    Preview,
    ReasonForm,
    make_reason_field,
)
from credits.countdown import format_countdown
from credits.currencies import format_amount
from credits.exceptions import InvalidAmount, LedgerRefusal, NoDebt
from credits.models import Approval, Purchase, Refund
from credits.operators import approvals
from credits.operators.approvals import NotPending, OwnRequest
from credits.reversals.refusals import RefusedByStripe
from credits.templatetags.amounts import format_signed


class NoteForm(ReasonForm):
    reason = make_reason_field(
        label=gettext_lazy("Note"),
        required=False,
        help_text=gettext_lazy("Optional. The note is kept in the log."),
    )


class DecisionPage(ConfirmedFormPage):
    """The page of a pending request: its facts, and what it would do to the current balances."""

    at_once = True

    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin)
        self.approval = approval
        self.chosen = list(approval.users.order_by("pk"))

    def facts(self) -> Facts:
        approval = self.approval
        last = approval.credits_expire_at
        return (
            (_("Change"), f"{approval.get_kind_display()} {describe_change(approval)}"),
            (_("Reason"), approval.reason),
            *([(_("Refunded transaction"), approval.refunds)] if approval.refunds else []),
            *([(_("Payment"), describe_payment(approval.accepts))] if approval.accepts else []),
            *([(_("Money"), describe_money(approval))] if approval.money is not None else []),
            *(
                [(_("Credits expire"), formats.date_format(last, "DATETIME_FORMAT"))]
                if last
                else []
            ),
            (_("Requested by"), approval.requester),
            (_("Requested"), formats.date_format(approval.created_at, "DATETIME_FORMAT")),
            (_("Expires"), format_countdown(approval)),
        )

    def users(self) -> list[User]:
        return self.chosen

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        change = get_balance_change(self.approval)
        if self.approval.takes_debt:  # What is not available becomes a debt.
            return [Preview(user, max(change, -user.available)) for user in self.chosen]
        return [Preview(user, change) for user in self.chosen]

    def explain(self, refusal: LedgerRefusal) -> str:
        if isinstance(refusal, NotPending):
            return _(
                "This request has already been decided or withdrawn, or it has expired. "
                "Nothing was changed."
            )
        if isinstance(refusal, OwnRequest):
            return _("Another administrator must decide on your request.")
        if self.approval.kind == Approval.Kind.WRITE_OFF and isinstance(
            refusal, InvalidAmount | NoDebt
        ):
            return _("The user owes less than that by now. Nothing was changed.")
        return super().explain(refusal)

    def back(self) -> str:
        return reverse("admin:credits_approval_change", args=[self.approval.pk])


class ApprovePage(DecisionPage):
    form_class = NoteForm

    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin, approval)
        self.title, self.verb = _("Approve"), _("Approve")

    def act(self, cleaned: dict[str, Any]) -> str:
        approvals.approve(self.approval, actor=self.actor, note=cleaned["reason"])
        refund = approvals.find_refund(self.approval)
        if refund is not None and refund.state == Refund.State.REFUSED:
            return _("The request has been approved. %(refusal)s") % {
                "refusal": RefusedByStripe(refund.problem).message
            }
        return _("The request has been approved and carried out.")


class RejectPage(DecisionPage):
    danger = True

    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin, approval)
        self.title, self.verb = _("Reject"), _("Reject")

    def previews(self, cleaned: dict[str, Any]) -> list[Preview]:
        return []

    def act(self, cleaned: dict[str, Any]) -> str:
        approvals.reject(self.approval, actor=self.actor, note=cleaned["reason"])
        return _("The request has been rejected. Nothing was changed.")


class WithdrawPage(RejectPage):
    def __init__(self, request: Any, model_admin: Any, approval: Approval) -> None:
        super().__init__(request, model_admin, approval)
        self.title, self.verb = _("Withdraw"), _("Withdraw")

    def act(self, cleaned: dict[str, Any]) -> str:
        approvals.withdraw(self.approval, actor=self.actor, note=cleaned["reason"])
        return _("The request has been withdrawn. Nothing was changed.")


def get_balance_change(approval: Approval) -> int:
    """Return by how many credits each balance changes.

    It is negative for the refund of a payment, and 0 for a write-off.
    """
    if approval.kind == Approval.Kind.WRITE_OFF:
        return 0
    return -approval.amount if approval.refunds and approval.refunds.amount > 0 else approval.amount


def describe_payment(purchase: Purchase) -> str:
    """Return the payment in review that would be accepted, and what differs."""
    received = format_amount(purchase.paid_total, purchase.paid_currency)
    return f"{purchase.public_id} · {received} · {purchase.problem}"


def describe_money(approval: Approval) -> str:
    """Return the money of a refund; say so if spent credits become a debt."""
    purchase = Purchase.objects.get(transaction=approval.refunds)
    money = format_amount(approval.money or 0, purchase.paid_currency)
    choices = [
        _("Take the rest as debt") if approval.takes_debt else "",
        _("End the plan now") if approval.ends_plan else "",
    ]
    return " · ".join(filter(None, [money, *choices]))


def describe_change(approval: Approval) -> str:
    """Return the signed change of each balance; of the debt, for a write-off."""
    is_write_off = approval.kind == Approval.Kind.WRITE_OFF
    return format_signed(-approval.amount if is_write_off else get_balance_change(approval))
